//! Query parameters: each at most once, none unknown, so that a misspelt name
//! is an error rather than a filter that silently does nothing.

use axum::extract::{FromRef, FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use nemeses_protocol::{DeviceId, DeviceNames};

use super::device::{self, device};
use super::shard::Shard;
use crate::problem::Problem;

/// A number without a sign, as far as both databases count.
pub(super) fn plain_number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.filter(|number| i64::try_from(*number).is_ok())
}

/// The parameters that nobody has taken yet.
#[derive(Debug)]
pub(crate) struct Params {
    left: Vec<(String, String)>,
    /// Of devices; the router has looked up those that the request names.
    names: DeviceNames,
}

impl<S: Sync> FromRequestParts<S> for Params
where
    DeviceNames: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self { names: DeviceNames::from_ref(state), ..Self::of(&parts.uri)? })
    }
}

impl Params {
    pub(crate) fn of(uri: &Uri) -> Result<Self, Problem> {
        Query::try_from_uri(uri)
            .map(|Query(left)| Self { left, names: DeviceNames::default() })
            .map_err(|_| Problem::parameter("query", "The query cannot be read."))
    }

    /// Parameters that came otherwise than in an address, as they would be there. One without a
    /// text counts as not given.
    pub(crate) fn given(names: DeviceNames, given: Vec<(&'static str, String)>) -> Self {
        Self {
            left: given.into_iter().map(|(name, text)| (name.to_owned(), text)).collect(),
            names,
        }
    }

    /// The texts that are left.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.left.iter().map(|(_, text)| text.as_str())
    }

    /// Takes a parameter; an empty one counts as not given.
    pub(crate) fn take(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let mut taken = self.left.extract_if(.., |(key, _)| key == name).map(|(_, value)| value);
        let value = taken.next();
        if taken.next().is_some() {
            return Err(Problem::parameter(name, "Given more than once."));
        }
        Ok(value.filter(|value| !value.is_empty()))
    }

    pub(crate) fn require(&mut self, name: &'static str) -> Result<String, Problem> {
        self.take(name)?.ok_or_else(|| Problem::parameter(name, "Missing."))
    }

    pub(crate) fn device(&mut self, name: &'static str) -> Result<DeviceId, Problem> {
        let text = self.require(name)?;
        device(&self.names, name, &text)
    }

    /// A device that need not be named.
    pub(crate) fn maybe_device(&mut self, name: &'static str) -> Result<Option<DeviceId>, Problem> {
        self.take(name)?.map(|text| device(&self.names, name, &text)).transpose()
    }

    /// Devices with commas between them, each once, in order of number.
    pub(crate) fn devices(&mut self, name: &'static str) -> Result<Option<Vec<DeviceId>>, Problem> {
        self.take(name)?.map(|text| device::devices(&self.names, name, &text)).transpose()
    }

    /// The share that is asked for; all if none is.
    pub(crate) fn shard(&mut self) -> Result<Shard, Problem> {
        let text = self.take("shard")?;
        text.map_or(Ok(Shard::default()), |text| Shard::parse("shard", &text))
    }

    /// A number that the database drew.
    pub(crate) fn number(&mut self, name: &'static str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        let number = plain_number(&text);
        number.map(Some).ok_or_else(|| Problem::parameter(name, "Must be a whole number."))
    }

    /// A number from 1 to `most`.
    pub(crate) fn count(
        &mut self,
        name: &'static str,
        default: u32,
        most: u32,
    ) -> Result<u32, Problem> {
        let Some(text) = self.take(name)? else { return Ok(default) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(count) if digits && (1..=most).contains(&count) => Ok(count),
            _ => Err(Problem::parameter(name, format!("Must be a whole number from 1 to {most}."))),
        }
    }

    /// One of a few words; the first is the default.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T, Problem> {
        let Some(text) = self.take(name)? else { return Ok(default) };
        choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            Problem::parameter(name, format!("Must be {}.", words.join(" or ")))
        })
    }

    /// Refuses what nobody has taken.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.left.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::parameter(name, "There is no such parameter here.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::of(&format!("/path?{query}").parse().unwrap()).unwrap()
    }

    fn blamed<T: std::fmt::Debug>(result: Result<T, Problem>) -> String {
        result.unwrap_err().at_fault().unwrap().to_owned()
    }

    #[test]
    fn each_once_and_none_unknown() {
        let mut all = params("a=1&b=&c=%41+%2B");
        assert_eq!(all.take("a").unwrap().unwrap(), "1");
        assert_eq!(all.take("b").unwrap(), None);
        assert_eq!(all.take("c").unwrap().unwrap(), "A +");
        assert_eq!(all.take("d").unwrap(), None);
        all.finish().unwrap();
        assert_eq!(blamed(params("a=1&a=2").take("a")), "a");
        assert_eq!(blamed(params("form=1").finish()), "form");
        assert_eq!(blamed(params("b=").require("b")), "b");
    }

    #[test]
    fn device_ids_are_hex_digits() {
        for (text, number) in [
            ("0A3F73", 0x0A_3F73),
            ("0a3f73", 0x0A_3F73),
            ("671603", 0x67_1603),
            ("FFFFFF", 0x00FF_FFFF),
            ("01000000", 0x0100_0000),
            ("ffffffff", u32::MAX),
        ] {
            let device = params(&format!("device_id={text}")).device("device_id").unwrap();
            assert_eq!(device.number(), number);
        }
        for bad in [
            "",
            "0A3F7",
            "0A3F733",
            "000A3F73",
            "100000000",
            "0A3F7G",
            "%00%00%00%00%00%00",
            "0x0A3F",
            "-A3F73",
            "%FF",
            "'OR1=1",
        ] {
            assert_eq!(
                blamed(params(&format!("device_id={bad}")).device("device_id")),
                "device_id"
            );
        }
        assert_eq!(blamed(params("").device("device_id")), "device_id");
    }

    #[test]
    fn lists_of_devices() {
        let devices = |query: &str| params(query).devices("ids");
        assert_eq!(devices("").unwrap(), None);
        let two = [DeviceId::new(5), DeviceId::new(0x0A_3F73)];
        assert_eq!(devices("ids=0a3f73,%20000005,0A3F73").unwrap().unwrap(), two);
        let many: Vec<String> = (0..1001).map(|n| format!("{n:06X}")).collect();
        for bad in [",", "0A3F73,", "0A3F73;000005", &many.join(",")] {
            assert_eq!(blamed(devices(&format!("ids={bad}"))), "ids", "{bad}");
        }
        assert_eq!(params("group=7").number("group").unwrap(), Some(7));
        assert_eq!(blamed(params("group=-7").number("group")), "group");
    }

    #[test]
    fn names_of_devices() {
        let (boiler, phone) = (DeviceId::new(1 << 24), DeviceId::new((1 << 24) + 1));
        let names = DeviceNames::of_these(&[
            (boiler, "id:a,b%2C".parse().unwrap()),
            (phone, "owntracks:jane/phone".parse().unwrap()),
        ]);
        let params = |query: &str| Params { names: names.clone(), ..params(query) };
        let one = |text: &str| params(&format!("device_id={text}")).device("device_id");
        assert_eq!(one("id:a,b%252C").unwrap(), boiler);
        assert_eq!(one("owntracks%3Ajane/phone").unwrap(), phone);
        assert_eq!(one("01000000").unwrap(), boiler);
        // In a list a name is encoded once more.
        let list = params("ids=owntracks:jane%252Fphone,id:a%252Cb%25252C,0A3F73").devices("ids");
        assert_eq!(list.unwrap().unwrap(), [DeviceId::new(0x0A_3F73), boiler, phone]);
        let unknown = one("id:x").unwrap_err();
        assert_eq!(unknown, crate::access::unknown_name());
        for bad in ["web1", "sensor:1", "imei:1", "host:a%20b"] {
            assert_eq!(one(bad).unwrap_err().kind(), crate::problem::Kind::InvalidParameter);
        }
    }

    #[test]
    fn counts_have_bounds() {
        assert_eq!(params("").count("limit", 1000, 5000).unwrap(), 1000);
        assert_eq!(params("limit=5000").count("limit", 1000, 5000).unwrap(), 5000);
        for bad in ["0", "5001", "-1", "%2B5", "1e3", "1.0", "99999999999999999999", "all"] {
            let count = params(&format!("limit={bad}")).count("limit", 1000, 5000);
            assert_eq!(blamed(count), "limit", "{bad}");
        }
    }

    #[test]
    fn choices_are_words() {
        let words = [("asc", false), ("desc", true)];
        assert!(params("order=desc").choice("order", &words, false).unwrap());
        assert!(!params("").choice("order", &words, false).unwrap());
        let problem = params("order=DESC").choice("order", &words, false).unwrap_err();
        assert_eq!(problem, Problem::parameter("order", "Must be asc or desc."));
    }
}
