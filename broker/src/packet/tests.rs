//! The codec against itself, against rumqttc's, and against noise.

use bytes::BytesMut;
use proptest::prelude::*;
use rumqttc::mqttbytes::v4 as theirs;

use super::*;

fn both() -> impl Strategy<Value = Protocol> {
    prop_oneof![Just(Protocol::V31), Just(Protocol::V311), Just(Protocol::V5)]
}

fn qos() -> impl Strategy<Value = Qos> {
    (0_u8..3).prop_map(|bits| Qos::from_bits(bits).unwrap())
}

proptest! {
    #[test]
    fn no_bytes_panic(protocol in both(), bytes: Vec<u8>) {
        if let Ok(Some(length)) = measure(&bytes, 1000) {
            prop_assert!(length <= 1000);
            if length <= bytes.len() {
                let _ = decode(protocol, &bytes[..length]);
            }
        }
        let _ = decode(protocol, &bytes);
    }

    /// Noise with a good header reaches every body parser.
    #[test]
    fn no_body_panics(protocol in both(), first: u8, body in prop::collection::vec(any::<u8>(), 0..120)) {
        let mut packet = vec![first, u8::try_from(body.len()).unwrap()];
        packet.extend(&body);
        let _ = decode(protocol, &packet);
    }

    /// A prefix is never taken for a packet.
    #[test]
    fn a_message_comes_out_as_it_went_in(
        protocol in both(), qos in qos(), retain: bool, packet_id in 1_u16..,
        topic in "[a-z/ä]{1,30}", payload in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let message = OutPublish {
            topic: &topic,
            payload: &payload,
            qos,
            retain,
            packet_id,
            properties: &[1, 1],
            subscription_ids: &[],
        };
        let mut bytes = Vec::new();
        publish(&mut bytes, protocol, &message);
        prop_assert_eq!(bytes.len(), message.packet_bytes(protocol));
        prop_assert_eq!(measure(&bytes, bytes.len()), Ok(Some(bytes.len())));
        let too_large = PacketError::TooLarge { bytes: bytes.len(), limit: bytes.len() - 1 };
        prop_assert_eq!(measure(&bytes, bytes.len() - 1), Err(too_large));
        prop_assert_eq!(measure(&bytes[..1], 1000), Ok(None));
        let expected = Publish {
            topic: &topic,
            payload: &payload,
            qos,
            duplicate: false,
            retain,
            packet_id: if qos == Qos::AtMostOnce { 0 } else { packet_id },
            properties: if protocol == Protocol::V5 { &[1, 1] } else { &[] },
        };
        prop_assert_eq!(decode(protocol, &bytes), Ok(Packet::Publish(expected)));
        for short in 0..bytes.len() {
            prop_assert!(decode(protocol, &bytes[..short]).is_err());
        }
    }

    /// What rumqttc writes is read here as it was meant.
    #[test]
    fn rumqttc_is_understood(
        client_id in "[a-z]{0,20}", keep_alive in 5_u16.., name in "[a-z]{1,9}", clean: bool,
    ) {
        let mut connect = theirs::Connect::new(client_id.clone());
        connect.keep_alive = keep_alive;
        connect.clean_session = clean;
        connect.last_will = Some(theirs::LastWill::new("w", "gone", rumqttc::QoS::AtLeastOnce, true));
        connect.login = Some(theirs::Login { username: name.clone(), password: "p".to_owned() });
        let mut bytes = BytesMut::new();
        connect.write(&mut bytes).unwrap();
        let Packet::Connect(read) = decode(Protocol::V311, &bytes).unwrap() else {
            panic!("not a CONNECT");
        };
        let will = Will {
            topic: "w",
            payload: b"gone",
            qos: Qos::AtLeastOnce,
            retain: true,
            properties: Vec::new(),
        };
        prop_assert_eq!(*read, Connect {
            protocol: Protocol::V311,
            clean,
            keep_alive_s: keep_alive,
            client_id: &client_id,
            will: Some(will),
            username: Some(&name),
            password: Some(b"p"),
            receive_maximum: u16::MAX,
            maximum_packet_bytes: u32::MAX,
            session_expiry_s: 0,
            extended_authentication: false,
        });
    }
}

/// What is written here is read by rumqttc as it was meant.
#[test]
fn rumqttc_understands() {
    let mut bytes = Vec::new();
    let ack = ConnAck {
        reason: Reason::BAD_CREDENTIALS,
        assigned_client_id: None,
        server_keep_alive_s: None,
        receive_maximum: 10,
        maximum_packet_bytes: 1000,
        session_ends: true,
    };
    connack(&mut bytes, Protocol::V311, &ack);
    puback(&mut bytes, Protocol::V311, 7, Reason::SUCCESS);
    pubrec(&mut bytes, Protocol::V311, 8, Reason::NOT_AUTHORIZED);
    pubrel(&mut bytes, Protocol::V311, 9, Reason::SUCCESS);
    pubcomp(&mut bytes, Protocol::V311, 10, Reason::PACKET_ID_NOT_FOUND);
    let codes = [Reason(1), Reason::NOT_AUTHORIZED];
    suback(&mut bytes, Protocol::V311, 11, &codes);
    unsuback(&mut bytes, Protocol::V311, 12, &[Reason::SUCCESS]);
    pingresp(&mut bytes);
    disconnect(&mut bytes, Protocol::V311, Reason::SERVER_SHUTTING_DOWN);
    let mut stream = BytesMut::from(&bytes[..]);
    let mut next = || theirs::Packet::read(&mut stream, 1000).unwrap();
    let theirs::Packet::ConnAck(connack) = next() else { panic!("CONNACK") };
    assert_eq!(connack.code, theirs::ConnectReturnCode::BadUserNamePassword);
    assert_eq!(next(), theirs::Packet::PubAck(theirs::PubAck::new(7)));
    assert_eq!(next(), theirs::Packet::PubRec(theirs::PubRec::new(8)));
    assert_eq!(next(), theirs::Packet::PubRel(theirs::PubRel::new(9)));
    assert_eq!(next(), theirs::Packet::PubComp(theirs::PubComp::new(10)));
    let theirs::Packet::SubAck(suback) = next() else { panic!("SUBACK") };
    let granted = theirs::SubscribeReasonCode::Success(rumqttc::QoS::AtLeastOnce);
    assert_eq!(suback.return_codes, [granted, theirs::SubscribeReasonCode::Failure]);
    assert_eq!(next(), theirs::Packet::UnsubAck(theirs::UnsubAck::new(12)));
    assert_eq!(next(), theirs::Packet::PingResp);
    assert!(stream.is_empty(), "a 3.1.1 server sends no DISCONNECT");
}

#[test]
fn rumqttc_understands_mqtt_5() {
    use rumqttc::v5::mqttbytes::v5 as theirs;
    let mut bytes = Vec::new();
    let ack = ConnAck {
        reason: Reason::SUCCESS,
        assigned_client_id: Some("door-1"),
        server_keep_alive_s: Some(30),
        receive_maximum: 10,
        maximum_packet_bytes: 1000,
        session_ends: true,
    };
    connack(&mut bytes, Protocol::V5, &ack);
    puback(&mut bytes, Protocol::V5, 7, Reason::NO_MATCHING_SUBSCRIBERS);
    suback(&mut bytes, Protocol::V5, 8, &[Reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED]);
    unsuback(&mut bytes, Protocol::V5, 9, &[Reason::NO_SUBSCRIPTION]);
    disconnect(&mut bytes, Protocol::V5, Reason::SESSION_TAKEN_OVER);
    let mut stream = BytesMut::from(&bytes[..]);
    let mut next = || theirs::Packet::read(&mut stream, Some(1000)).unwrap();
    let theirs::Packet::ConnAck(connack) = next() else { panic!("CONNACK") };
    let properties = connack.properties.unwrap();
    assert_eq!(properties.session_expiry_interval, Some(0));
    assert_eq!(properties.receive_max, Some(10));
    assert_eq!(properties.max_packet_size, Some(1000));
    assert_eq!(properties.shared_subscription_available, Some(0));
    assert_eq!(properties.assigned_client_identifier.as_deref(), Some("door-1"));
    assert_eq!(properties.server_keep_alive, Some(30));
    let theirs::Packet::PubAck(puback) = next() else { panic!("PUBACK") };
    assert_eq!((puback.pkid, puback.reason), (7, theirs::PubAckReason::NoMatchingSubscribers));
    let theirs::Packet::SubAck(suback) = next() else { panic!("SUBACK") };
    let refused = theirs::SubscribeReasonCode::SharedSubscriptionsNotSupported;
    assert_eq!(suback.return_codes, [refused]);
    let theirs::Packet::UnsubAck(unsuback) = next() else { panic!("UNSUBACK") };
    assert_eq!(unsuback.reasons, [theirs::UnsubAckReason::NoSubscriptionExisted]);
    let theirs::Packet::Disconnect(disconnect) = next() else { panic!("DISCONNECT") };
    assert_eq!(disconnect.reason_code, theirs::DisconnectReasonCode::SessionTakenOver);
}
