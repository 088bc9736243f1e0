//! Behind a load balancer that speaks the PROXY protocol, a node sees its devices.

use std::net::{Ipv4Addr, SocketAddr};

use nemeses_e2e::frames::{bytes, live, now_s};
use nemeses_e2e::{HaProxy, Line, Mqtt, SOON, Shape, expect_log, run_nemeses, wait_for};
use nemeses_protocol::DeviceId;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

const ONE: &str = "0A3F73";
/// Loopback has more than one address: what HAProxy is to say of its client.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// MQTT 3.1.1 of `0A3F73` with the password `wrong`.
const WRONG: &[u8] = b"\x10\x1C\0\x04MQTT\x04\xC2\0\x3C\0\x01x\0\x060A3F73\0\x05wrong";

async fn connect_from(source: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn behind_haproxy_logs_and_limits_see_the_device() {
    expect_log(&["clients were not let in"]);
    for options in ["check inter 200ms send-proxy", "check inter 200ms send-proxy-v2"] {
        let args = ["--proxy-protocol", "127.0.0.1", "--mqtt-anonymous=false"];
        let args = [&args[..], &["--log-filter", "info,nemeses_broker=debug"]].concat();
        let line = Line::start(Shape::Embedded, &args).await.unwrap();
        let node = line.node.as_ref().unwrap();
        let proxy = HaProxy::start(line.mqtt_address(), options).await.unwrap();
        let mut wrong = connect_from(ELSEWHERE, proxy.port().address()).await;
        wrong.write_all(WRONG).await.unwrap();
        let mut answer = [0; 4];
        wrong.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0x20, 2, 0, 4], "{options}");
        wait_for(SOON, "the log names the device's address", async || {
            anyhow::ensure!(node.log()?.contains("peer=127.0.0.2:"), "not yet");
            Ok(())
        })
        .await
        .unwrap();

        let url = line.database_url();
        let added = run_nemeses(["device", "add", ONE, "--json", "--database-url", &url]).await;
        let login: Value = serde_json::from_slice(&added.unwrap().stdout).unwrap();
        let secret = login["secret"].as_str().unwrap();
        let mut device = Mqtt::connect_as(proxy.port().address(), ONE, ONE, secret).await.unwrap();
        let frame = bytes(&live(ONE.parse::<DeviceId>().unwrap(), now_s(), 1));
        device.publish("/messenger", &frame).await.unwrap();
        line.wait_rows(1).await.unwrap();
        // Who comes past the proxy from its own address must say so.
        Mqtt::connect_as(line.mqtt_address(), ONE, ONE, secret).await.unwrap_err();
        // The proxy's health checks are nobody who was turned away.
        let log = node.log().unwrap();
        assert!(!log.contains("gone"), "{log}");
    }
}
