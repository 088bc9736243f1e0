//! One file an endpoint, named for its path.

pub(crate) mod api_v1;
pub(crate) mod healthz;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod openapi_json;
pub(crate) mod readyz;
pub(crate) mod register_user;
pub(crate) mod setup;
pub(crate) mod share_open;
pub(crate) mod token_refresh;
