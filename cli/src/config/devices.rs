//! Settings of listeners for devices that speak a protocol of their own.

use std::net::SocketAddr;
use std::path::PathBuf;

use nemeses_broker::DeviceListen;

use super::Devices;
use super::check::{certificate, is_loopback};
use super::wrong::Wrong;
use crate::args;

/// Where devices of other protocols are listened for. They have no secret, so whoever reaches
/// the address can send as any of them.
pub(super) fn devices(
    args: &args::DeviceArgs,
    frames: &args::FrameArgs,
    admin: &args::AdminArgs,
) -> Result<Devices, Wrong> {
    let accepts_all = frames.unknown_devices == nemeses_parser::UnknownDevices::Accept;
    let addresses = |listens: &[DeviceListen]| -> Vec<SocketAddr> {
        listens.iter().map(|at| at.listen).collect()
    };
    for (setting, addresses) in [
        ("tcp-listen", addresses(&args.tcp_listen)),
        ("udp-listen", addresses(&args.udp_listen)),
        ("http-devices-listen", args.http_devices_listen.into_iter().collect()),
    ] {
        let open = addresses.into_iter().find(|address| !is_loopback(*address));
        if let Some(address) = open.filter(|_| accepts_all && !admin.private_network) {
            return Err(Wrong::new(
                setting,
                address,
                "devices of this protocol have no secret, so everyone who reaches this address could send as any of them; listen on loopback, accept known devices only (--unknown-devices quarantine or reject), or say that only devices reach it (--private-network)",
            ));
        }
    }
    Ok(Devices {
        tcp: args.tcp_listen.clone(),
        udp: args.udp_listen.clone(),
        http: args.http_devices_listen,
        tls: device_tls(args)?,
    })
}

/// A certificate where a listener for devices speaks TLS, and there alone.
fn device_tls(args: &args::DeviceArgs) -> Result<Option<(PathBuf, PathBuf)>, Wrong> {
    const WANTED: &str = "listeners for devices by TLS want a certificate and its key, PEM files";
    let files =
        [("device-tls-cert", &args.device_tls_cert), ("device-tls-key", &args.device_tls_key)];
    let by_tls = args.tcp_listen.iter().find(|at| at.tls);
    match (certificate(files, [WANTED; 2])?, by_tls) {
        (None, Some(at)) => {
            let why = "this listener speaks TLS, which takes a certificate and its key, PEM files";
            Err(Wrong::new("device-tls-cert", at.listen, why))
        }
        (Some((cert, _)), None) if args.http_devices_listen.is_none() => {
            let why = "it is of no use without --http-devices-listen or a listener such as \
                       --tcp-listen teltonika+tls=ADDRESS:PORT";
            Err(Wrong::new("device-tls-cert", cert.display(), why))
        }
        (files, _) => Ok(files),
    }
}
