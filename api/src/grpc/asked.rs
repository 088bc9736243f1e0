//! A call's request as the parameters of the REST API, which reads, bounds and refuses them by one
//! set of rules. Pure.

use nemeses_protocol::{DeviceNames, Identity};

use super::v1;
use crate::input::{self, Params};
use crate::problem::Problem;

/// Parameters of a call, and the devices that it names.
pub(super) struct Asked {
    given: Vec<(&'static str, String)>,
    pub(super) identities: Vec<Identity>,
}

impl Asked {
    /// The parameter that names devices, empty if the call names none.
    fn of_devices(name: &'static str, devices: &[String]) -> Result<Self, Problem> {
        let identities: Vec<Identity> =
            devices.iter().map(|text| input::identity(name, text)).collect::<Result<_, _>>()?;
        let segments: Vec<String> = identities.iter().map(Identity::segment).collect();
        let mut asked = Self { given: Vec::new(), identities };
        asked.add(name, segments.join(","));
        Ok(asked)
    }

    fn add(&mut self, name: &'static str, text: impl Into<String>) {
        self.given.push((name, text.into()));
    }

    fn add_number(&mut self, name: &'static str, number: Option<impl ToString>) {
        self.given.extend(number.map(|number| (name, number.to_string())));
    }

    pub(super) fn params(self, names: DeviceNames) -> Params {
        Params::given(names, self.given)
    }
}

pub(super) fn mean(request: &v1::GetMeanRequest) -> Result<Asked, Problem> {
    let mut asked = Asked::of_devices("device_id", std::slice::from_ref(&request.device_id))?;
    asked.add("channel", &request.channel);
    asked.add_number("last_n", Some(request.last_n));
    Ok(asked)
}

pub(super) fn series(request: &v1::GetSeriesRequest) -> Result<Asked, Problem> {
    let mut asked = Asked::of_devices("device_id", &request.device_id)?;
    asked.add_number("group", request.group);
    asked.add("tag", &request.tag);
    asked.add("channel", request.channel.join(","));
    asked.add_number("from", request.from_s);
    asked.add_number("to", request.to_s);
    asked.add("step", &request.step);
    asked.add("agg", request.agg.join(","));
    asked.add_number("last_n", request.last_n);
    asked.add_number("points", request.points);
    asked.add("longest_gap", &request.longest_gap);
    asked.add_number("gaps", request.gaps);
    asked.add("tz", &request.tz);
    Ok(asked)
}

pub(super) fn stream(request: &v1::StreamRequest) -> Result<Asked, Problem> {
    let mut asked = Asked::of_devices("device_ids", &request.device_id)?;
    asked.add_number("group", request.group);
    if let Some(v1::Box { west, south, east, north }) = request.bbox {
        asked.add("bbox", format!("{west},{south},{east},{north}"));
    }
    asked.add("latest_id", &request.latest_id);
    asked.add_number("past_ms", request.past_ms);
    asked.add_number("last_n", request.last_n);
    asked.add_number("max_frequency", request.max_frequency);
    asked.add("snapshot", request.snapshot.to_string());
    asked.add("values", &request.values);
    let encoded = |name: &String| name.replace('%', "%25").replace(',', "%2C");
    asked.add("channels", request.channel.iter().map(encoded).collect::<Vec<_>>().join(","));
    Ok(asked)
}
