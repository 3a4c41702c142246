//! Texts of many jobs, of which neighbours mostly have the same: kept once for all of these.

use std::sync::Arc;

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Postgres, Type};

/// A `text[]` without nulls. As a `Vec<String>` it would be an allocation for each job, which another thread gives back.
#[derive(Debug)]
pub(super) struct Texts(Vec<Arc<str>>);

impl Type<Postgres> for Texts {
    fn type_info() -> PgTypeInfo {
        <Vec<String> as Type<Postgres>>::type_info()
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        <Vec<String> as Type<Postgres>>::compatible(ty)
    }
}

impl Decode<'_, Postgres> for Texts {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => Self::read(value.as_bytes()?),
            PgValueFormat::Text => Err("an array of texts came as text".into()),
        }
    }
}

impl Texts {
    /// Reads what `array_send` writes: dimensions, flags, the elements' type; length and lower bound of the one dimension; and of each
    /// element its length, -1 for null, and its bytes.
    fn read(mut rest: &[u8]) -> Result<Self, BoxDynError> {
        let dimensions = number(&mut rest)?;
        let (_flags, _element_type) = (number(&mut rest)?, number(&mut rest)?);
        let jobs = match dimensions {
            0 => 0,
            1 => usize::try_from(number(&mut rest)?)?,
            _ => return Err("an array of texts has several dimensions".into()),
        };
        if jobs > 0 {
            let _lower_bound = number(&mut rest)?;
        }
        // Not as many as it says there are: they may not be there.
        let mut texts: Vec<Arc<str>> = Vec::with_capacity(jobs.min(rest.len() / 4));
        for _ in 0..jobs {
            let length = usize::try_from(number(&mut rest)?).map_err(|_| "an array of texts has a null")?;
            let (text, after) = rest.split_at_checked(length).ok_or(CUT_SHORT)?;
            rest = after;
            let shared = match texts.last() {
                Some(last) if last.as_bytes() == text => Arc::clone(last),
                _ => Arc::from(std::str::from_utf8(text)?),
            };
            texts.push(shared);
        }
        Ok(Self(texts))
    }
}

const CUT_SHORT: &str = "an array of texts is cut short";

fn number(rest: &mut &[u8]) -> Result<i32, BoxDynError> {
    let (bytes, after) = rest.split_first_chunk().ok_or(CUT_SHORT)?;
    *rest = after;
    Ok(i32::from_be_bytes(*bytes))
}

impl IntoIterator for Texts {
    type Item = Arc<str>;
    type IntoIter = std::vec::IntoIter<Arc<str>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(texts: &[Option<&str>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let number = |bytes: &mut Vec<u8>, n: usize| bytes.extend((n as i32).to_be_bytes());
        number(&mut bytes, usize::from(!texts.is_empty()));
        number(&mut bytes, 0);
        number(&mut bytes, 25);
        if !texts.is_empty() {
            number(&mut bytes, texts.len());
            number(&mut bytes, 1);
        }
        for text in texts {
            match text {
                Some(text) => {
                    number(&mut bytes, text.len());
                    bytes.extend(text.as_bytes());
                }
                None => bytes.extend((-1i32).to_be_bytes()),
            }
        }
        bytes
    }

    fn read(texts: &[Option<&str>]) -> Result<Vec<Arc<str>>, BoxDynError> {
        Texts::read(&array(texts)).map(|texts| texts.0)
    }

    #[test]
    fn neighbours_with_the_same_text_share_it_and_each_gets_its_own() {
        let texts = read(&[Some("a"), Some("a"), Some(""), Some("ü"), Some("a")]).unwrap();
        assert_eq!(
            texts.iter().map(|text| &**text).collect::<Vec<_>>(),
            ["a", "a", "", "ü", "a"]
        );
        assert!(Arc::ptr_eq(&texts[0], &texts[1]));
        assert!(read(&[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_array_of_texts_is_an_error_wherever_it_is_cut() {
        let whole = array(&[Some("some"), Some("texts")]);
        for length in 0..whole.len() {
            assert!(Texts::read(&whole[..length]).is_err(), "{length} bytes");
        }
        assert!(read(&[Some("a"), None]).is_err());
        assert!(
            Texts::read(&[
                0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1
            ])
            .is_err()
        );
    }
}
