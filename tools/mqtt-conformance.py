#!/usr/bin/env python3
"""Drives an MQTT listener with the Paho client and with bare sockets, through the
behaviours that Eclipse Paho's interoperability suite looks at, in MQTT 3.1, 3.1.1 and 5.
What we do otherwise on purpose is listed in EXCEPTIONS with its reason, and checked as
well: it must be said to the client, where the protocol has a word for it.

    mqtt-conformance.py HOST PORT [NAME...]

Needs the package paho-mqtt (tools/setup.sh) and a listener that lets anybody in.
Ends with 0 if every behaviour is as it should be.
"""

import contextlib
import queue
import socket
import struct
import sys
import time

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

V31, V311, V5 = paho.MQTTv31, paho.MQTTv311, paho.MQTTv5
OLD, ALL = (V31, V311), (V31, V311, V5)
NAMES = {V31: "3.1", V311: "3.1.1", V5: "5"}
# No wait is longer.
DEADLINE = 15.0

# Behaviour of the suite: why ours differs. docs/mqtt.md names each of them.
EXCEPTIONS = {
    "offline_message_queueing": "sessions end with their connection; commands wait in the database instead",
    "redelivery_on_reconnect": "sessions end with their connection; commands wait in the database instead",
    "session_expiry": "sessions end with their connection, and CONNACK says so",
    "will_delay": "the session ends with the connection, and the delay with it (MQTT 5, 3.1.3.2.2)",
    "client_topic_alias": "none is offered: CONNACK has no topic alias maximum",
    "server_topic_alias": "a client may offer some; they are not used",
    "dollar_topics": "nobody publishes below $: 0x87, and before MQTT 5 the end of the connection",
    "shared_subscriptions": "not offered: CONNACK says so, and SUBACK 0x9E",
    "server_keep_alive": "the client's keep-alive holds",
}

HOST, PORT = "127.0.0.1", 1883
BEHAVIOURS = []


def behaviour(*versions):
    def add(function):
        BEHAVIOURS.append((function.__name__, versions, function))
        return function
    return add


def eventually(what, condition):
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until, f"not within {DEADLINE:.0f} s: {what}"
        time.sleep(0.02)


def properties(packet, **values):
    made = Properties(packet)
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Client:
    """A Paho client that remembers what it hears."""

    def __init__(self, version, name, clean=True, will=None, keepalive=60, refused=False, **connect):
        self.version = version
        session = {} if version == V5 else {"clean_session": clean}
        self.paho = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=name, protocol=version,
            reconnect_on_failure=False, **session)
        self.heard, self.answers, self.acked = queue.Queue(), queue.Queue(), queue.Queue()
        self.connack, self.ended = queue.Queue(), queue.Queue()
        self.paho.on_connect = lambda _c, _u, flags, code, props: self.connack.put((flags, code, props))
        self.paho.on_message = lambda _c, _u, message: self.heard.put(message)
        self.paho.on_subscribe = lambda _c, _u, _mid, codes, _props: self.answers.put(codes)
        self.paho.on_unsubscribe = lambda _c, _u, _mid, codes, _props: self.answers.put(codes)
        self.paho.on_publish = lambda _c, _u, mid, code, _props: self.acked.put((mid, code))
        self.paho.on_disconnect = lambda _c, _u, _flags, code, _props: self.ended.put(code)
        if will:
            self.paho.will_set(*will)
        if version == V5:
            connect = {"clean_start": clean, "properties": properties(PacketTypes.CONNECT, **connect)}
        self.paho.connect(HOST, PORT, keepalive, **connect)
        self.paho.loop_start()
        self.flags, code, self.properties = self.connack.get(timeout=DEADLINE)
        self.code = code.value
        assert refused or not code.is_failure, f"CONNACK {code}"

    def subscribe(self, topic, qos=0, options=None, identifier=None):
        props = properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=identifier) if identifier else None
        if self.version == V5:
            self.paho.subscribe(topic, options=options or SubscribeOptions(qos=qos), properties=props)
        else:
            self.paho.subscribe(topic, qos)
        return self.answers.get(timeout=DEADLINE)[0].value

    def unsubscribe(self, topic):
        self.paho.unsubscribe(topic)
        return self.answers.get(timeout=DEADLINE)

    def publish(self, topic, payload, qos=1, retain=False, **props):
        made = properties(PacketTypes.PUBLISH, **props) if props else None
        mid = self.paho.publish(topic, payload, qos, retain, made).mid
        while True:
            acked, code = self.acked.get(timeout=DEADLINE)
            if acked == mid:
                return code.value

    def hear(self):
        return self.heard.get(timeout=DEADLINE)

    def hear_all(self, count):
        return [self.hear() for _ in range(count)]

    def hears_nothing(self):
        """Nothing came before the answer to something that was sent later."""
        assert self.subscribe("interop/nothing") < 3
        assert self.heard.empty(), f"heard {self.heard.get().topic}"

    def leave(self):
        self.paho.disconnect()
        self.ended.get(timeout=DEADLINE)
        self.paho.loop_stop()

    def break_off(self):
        """Goes without a word."""
        self.paho.socket().shutdown(socket.SHUT_RDWR)
        self.ended.get(timeout=DEADLINE)
        self.paho.loop_stop()


class Wire:
    """A bare connection of MQTT 3.1.1 or 5."""

    def __init__(self, version, name, keepalive=60, props=b"", will=b""):
        self.version = version
        self.socket = socket.create_connection((HOST, PORT), DEADLINE)
        flags = 0x02 | (0x04 if will else 0)
        body = b"\x00\x04MQTT" + bytes([version, flags]) + struct.pack(">H", keepalive)
        if version == V5:
            body += bytes([len(props)]) + props
        self.send(0x10, body + self.text(name) + will)
        self.connack = self.receive()

    @staticmethod
    def text(text):
        return struct.pack(">H", len(text)) + text.encode()

    def send(self, first, body):
        length, encoded = len(body), b""
        while True:
            encoded += bytes([length % 128 | (0x80 if length > 127 else 0)])
            length //= 128
            if not length:
                break
        self.socket.sendall(bytes([first]) + encoded + body)

    def publish(self, topic, qos, number, payload, first=0x30):
        props = b"\x00" if self.version == V5 else b""
        identifier = struct.pack(">H", number) if qos else b""
        self.send(first | qos << 1, self.text(topic) + identifier + props + payload)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def receive(self):
        """The next packet; None when the listener closes."""
        try:
            first, length, shift = self.exactly(1)[0], 0, 0
            while True:
                byte = self.exactly(1)[0]
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    return first, self.exactly(length)
        except (EOFError, ConnectionResetError):
            return None


@contextlib.contextmanager
def clients(version, *names, **options):
    made = []
    try:
        for name in names:
            made.append(Client(version, name, **options))
        yield made if len(made) > 1 else made[0]
    finally:
        for client in made:
            with contextlib.suppress(Exception):
                client.leave()


@behaviour(*ALL)
def basic(version):
    with clients(version, "basic") as client:
        assert client.subscribe("interop/a", 2) == 2
        for qos in (0, 1, 2):
            client.publish("interop/a", f"qos {qos}", qos)
        heard = {message.payload.decode(): message.qos for message in client.hear_all(3)}
        assert heard == {"qos 0": 0, "qos 1": 1, "qos 2": 2}, heard


@behaviour(*ALL)
def retained_messages(version):
    with clients(version, "retaining") as client:
        for qos in (0, 1, 2):
            client.publish(f"interop/retained/{qos}", f"kept {qos}", qos, retain=True)
        client.subscribe("interop/retained/+", 2)
        heard = {message.topic: (message.payload, message.qos, message.retain) for message in client.hear_all(3)}
        assert heard == {
            f"interop/retained/{qos}": (f"kept {qos}".encode(), qos, True) for qos in (0, 1, 2)}, heard
        for qos in (0, 1, 2):
            client.publish(f"interop/retained/{qos}", b"", qos, retain=True)
    with clients(version, "late") as late:
        late.subscribe("interop/retained/#")
        late.hears_nothing()


@behaviour(*ALL)
def will_message(version):
    with clients(version, "mourner") as mourner:
        mourner.subscribe("interop/will", 2)
        mortal = Client(version, "mortal", will=("interop/will", "gone", 2, True))
        mortal.break_off()
        message = mourner.hear()
        assert (message.topic, message.payload, message.qos) == ("interop/will", b"gone", 2)
        polite = Client(version, "polite", will=("interop/will", "not gone", 1, False))
        polite.leave()
        mourner.hears_nothing()
        mourner.publish("interop/will", b"", retain=True)


@behaviour(*ALL)
def zero_length_clientid(version):
    if version == V31:
        # Paho itself makes one up; the protocol asks for 1 to 23 characters.
        with socket.create_connection((HOST, PORT), DEADLINE) as wire:
            wire.sendall(b"\x10\x0E\x00\x06MQIsdp\x03\x02\x00\x3C\x00\x00")
            assert wire.recv(4) == b"\x20\x02\x00\x02"
        return
    with clients(version, "") as client:
        client.hears_nothing()
    if version == V311:
        with socket.create_connection((HOST, PORT), DEADLINE) as wire:
            wire.sendall(b"\x10\x0C\x00\x04MQTT\x04\x00\x00\x3C\x00\x00")
            assert wire.recv(4) == b"\x20\x02\x00\x02"


@behaviour(V5)
def assigned_clientid(version):
    with clients(version, "") as client:
        assert client.properties.AssignedClientIdentifier


def offline(version, expiry):
    options = {"SessionExpiryInterval": expiry} if version == V5 else {}
    sleeper = Client(version, "sleeper", clean=False, **options)
    assert not sleeper.flags.session_present
    if version == V5:
        assert sleeper.properties.SessionExpiryInterval == 0, "the client is told"
    sleeper.subscribe("interop/asleep", 1)
    sleeper.break_off()
    with clients(version, "publisher") as publisher:
        publisher.publish("interop/asleep", "1")
    with clients(version, "sleeper", clean=False, **options) as sleeper:
        assert not sleeper.flags.session_present, "the client is told to subscribe again"
        sleeper.hears_nothing()


@behaviour(*ALL)
def offline_message_queueing(version):
    offline(version, 3600)


@behaviour(V5)
def session_expiry(version):
    offline(version, 0xFFFFFFFF)


@behaviour(V311, V5)
def redelivery_on_reconnect(version):
    listener = Wire(version, "forgetful")
    props = b"\x00" if version == V5 else b""
    listener.send(0x82, b"\x00\x01" + props + Wire.text("interop/again") + b"\x01")
    listener.receive()
    with clients(version, "publisher") as publisher:
        publisher.publish("interop/again", "unacknowledged")
    assert listener.receive()[0] == 0x32
    listener.socket.close()
    again = Wire(version, "forgetful")
    again.send(0xC0, b"")
    assert again.receive() == (0xD0, b""), "nothing is sent again"


@behaviour(*ALL)
def overlapping_subscriptions(version):
    with clients(version, "overlapping") as client:
        client.subscribe("interop/over/#", 2)
        client.subscribe("interop/over/+", 1)
        client.publish("interop/over/it", "once", 2)
        assert client.hear().qos == 2
        client.hears_nothing()


@behaviour(V311, V5)
def keepalive(version):
    with clients(version, "mourner") as mourner:
        mourner.subscribe("interop/silence", 0)
        props = b"\x00" if version == V5 else b""
        Wire(version, "silent", keepalive=1, will=props + Wire.text("interop/silence") + Wire.text("silent"))
        assert mourner.hear().payload == b"silent"


@behaviour(V5)
def server_keep_alive(version):
    with clients(version, "long", keepalive=120) as client:
        assert not hasattr(client.properties, "ServerKeepAlive")


@behaviour(*ALL)
def subscribe_failure(version):
    with clients(version, "refused") as client:
        expected = {V31: 1, V311: 0x80, V5: 0x9E}[version]
        assert client.subscribe("$share/group/interop/x", 1) == expected
        expected = {V31: 1, V311: 0x80, V5: 0x8F}[version]
        # Paho itself refuses to send such a filter.
        client.paho._send_subscribe(False, [(b"interop/#/x", SubscribeOptions(qos=1) if version == V5 else 1)])
        assert client.answers.get(timeout=DEADLINE)[0].value == expected


@behaviour(*ALL)
def dollar_topics(version):
    with clients(version, "curious") as client:
        for topic in ("#", "+/uptime", "$SYS/#"):
            assert client.subscribe(topic, 2) == 2
        client.hears_nothing()
    with clients(version, "forger") as forger:
        if version == V5:
            assert forger.publish("$SYS/uptime", "1") == 0x87
        else:
            forger.paho.publish("$SYS/uptime", "1", 1)
            forger.ended.get(timeout=DEADLINE)


@behaviour(*ALL)
def unsubscribe(version):
    with clients(version, "fickle") as client:
        for topic in ("interop/a", "interop/b", "interop/c"):
            client.subscribe(topic, 2)
        client.unsubscribe("interop/a")
        for topic in ("interop/a", "interop/b", "interop/c"):
            client.publish(topic, "x")
        assert {message.topic for message in client.hear_all(2)} == {"interop/b", "interop/c"}
        client.hears_nothing()
        if version == V5:
            assert client.unsubscribe("interop/a")[0].value == 0x11


@behaviour(V5)
def user_properties(version):
    with clients(version, "user") as client:
        client.subscribe("interop/user", 2)
        pairs = [("a", "2"), ("c", "3"), ("a", "1")]
        for qos in (0, 1, 2):
            client.publish("interop/user", "x", qos, UserProperty=pairs)
        for message in client.hear_all(3):
            assert message.properties.UserProperty == pairs


@behaviour(V5)
def payload_format(version):
    with clients(version, "format") as client:
        client.subscribe("interop/format", 2)
        for qos in (0, 1, 2):
            client.publish("interop/format", "x", qos, PayloadFormatIndicator=1, ContentType="text/plain")
        for message in client.hear_all(3):
            assert message.properties.PayloadFormatIndicator == 1
            assert message.properties.ContentType == "text/plain"


@behaviour(V5)
def publication_expiry(version):
    with clients(version, "expiring") as client:
        client.publish("interop/expires/soon", "x", retain=True, MessageExpiryInterval=1)
        client.publish("interop/expires/later", "x", retain=True, MessageExpiryInterval=3600)

        def only_later():
            client.subscribe("interop/expires/+")
            left = {client.hear().topic}
            with contextlib.suppress(queue.Empty):
                left.add(client.heard.get(timeout=0.3).topic)
            return left == {"interop/expires/later"}
        eventually("the first has expired", only_later)
        client.subscribe("interop/expires/later")
        assert client.hear().properties.MessageExpiryInterval < 3600, "the time that remains is told"
        client.publish("interop/expires/later", b"", retain=True)


@behaviour(V5)
def subscribe_options(version):
    with clients(version, "options", "other") as (client, other):
        client.subscribe("interop/own", options=SubscribeOptions(qos=2, noLocal=True))
        client.publish("interop/own", "own")
        other.publish("interop/own", "other's")
        assert client.hear().payload == b"other's"
        client.hears_nothing()
        client.subscribe("interop/as", options=SubscribeOptions(qos=2, retainAsPublished=True))
        other.publish("interop/as", "x", retain=True)
        assert client.hear().retain
        client.subscribe("interop/as", options=SubscribeOptions(qos=2, retainAsPublished=False))
        assert client.hear().retain, "what was retained before is sent as such"
        other.publish("interop/as", "x", retain=True)
        assert not client.hear().retain
        # Retained messages: always, for a new subscription, never.
        for handling, wanted in ((0, True), (1, False), (2, False)):
            client.subscribe("interop/as", options=SubscribeOptions(qos=2, retainHandling=handling))
            if wanted:
                assert client.hear().retain
            client.hears_nothing()
        client.unsubscribe("interop/as")
        client.subscribe("interop/as", options=SubscribeOptions(qos=2, retainHandling=1))
        assert client.hear().retain
        other.publish("interop/as", b"", retain=True)


@behaviour(V5)
def subscribe_identifiers(version):
    with clients(version, "identified") as client:
        client.subscribe("interop/id/+", 2, identifier=456789)
        client.subscribe("interop/id/#", 2, identifier=987654)
        client.publish("interop/id/x", "x")
        assert sorted(client.hear().properties.SubscriptionIdentifier) == [456789, 987654]


@behaviour(V5)
def request_response(version):
    with clients(version, "asking", "answering") as (asking, answering):
        answering.subscribe("interop/request", 2)
        asking.subscribe("interop/response", 2)
        asking.publish("interop/request", "?", ResponseTopic="interop/response", CorrelationData=b"334")
        request = answering.hear()
        answering.publish(request.properties.ResponseTopic, "!", CorrelationData=request.properties.CorrelationData)
        assert asking.hear().properties.CorrelationData == b"334"


@behaviour(V5)
def client_topic_alias(version):
    with clients(version, "told") as client:
        assert not hasattr(client.properties, "TopicAliasMaximum")
    wire = Wire(version, "aliased")
    wire.send(0x30, Wire.text("interop/a") + b"\x03\x23\x00\x01" + b"x")
    assert wire.receive()[1][0] == 0x94
    assert wire.receive() is None


@behaviour(V5)
def server_topic_alias(version):
    with clients(version, "aliases", TopicAliasMaximum=1) as client:
        client.subscribe("interop/alias", 2)
        for number in range(3):
            client.publish("interop/alias", str(number), 1)
        assert [message.topic for message in client.hear_all(3)] == ["interop/alias"] * 3


@behaviour(V5)
def maximum_packet_size(version):
    with clients(version, "small", MaximumPacketSize=64) as small:
        most = small.properties.MaximumPacketSize
        small.subscribe("interop/size", 2)
        with clients(version, "sender") as sender:
            sender.publish("interop/size", "x" * 100)
            sender.publish("interop/size", "fits")
        assert small.hear().payload == b"fits"
    wire = Wire(version, "large")
    wire.socket.sendall(b"\x30" + bytes([most % 128 | 0x80, most // 128 % 128 | 0x80, most // 16384 + 1]))
    assert wire.receive()[1][0] == 0x95
    assert wire.receive() is None


@behaviour(V5)
def flow_control_of_clients(version):
    """More QoS 2 messages than the receive maximum, none of them released."""
    with clients(version, "told") as client:
        most = client.properties.ReceiveMaximum
    wire = Wire(version, "greedy")
    for number in range(1, most + 2):
        wire.publish("interop/flow", 2, number, b"x")
    while (packet := wire.receive()) and packet[0] == 0x50:
        pass
    assert packet[0] == 0xE0 and packet[1][0] == 0x93, packet
    assert wire.receive() is None


@behaviour(V5)
def flow_control_of_the_listener(version):
    """A client that takes two at a time, and acknowledges late."""
    wire = Wire(version, "slow", props=b"\x21\x00\x02")
    wire.send(0x82, b"\x00\x01\x00" + Wire.text("interop/slow") + b"\x01")
    wire.receive()
    with clients(version, "sender") as sender:
        for number in range(5):
            sender.publish("interop/slow", str(number))
    heard = [wire.receive(), wire.receive()]
    wire.send(0xC0, b"")
    assert wire.receive() == (0xD0, b""), "the third waits"
    behind_topic = 2 + len("interop/slow")
    for oldest in range(3):
        wire.send(0x40, heard[oldest][1][behind_topic:behind_topic + 2])
        heard.append(wire.receive())
    assert [packet[1][-1:] for packet in heard] == [b"0", b"1", b"2", b"3", b"4"]


@behaviour(V5)
def will_delay(version):
    with clients(version, "mourner") as mourner:
        mourner.subscribe("interop/delayed", 2)
        # Session expiry and will delay of an hour: CONNACK ends the session at once.
        hour = struct.pack(">I", 3600)
        will = b"\x05\x18" + hour + Wire.text("interop/delayed") + Wire.text("gone")
        mortal = Wire(version, "mortal", props=b"\x11" + hour, will=will)
        mortal.socket.close()
        assert mourner.hear().payload == b"gone"


@behaviour(V5)
def shared_subscriptions(version):
    with clients(version, "sharing") as client:
        assert client.properties.SharedSubscriptionAvailable == 0
        assert client.subscribe("$share/group/interop/shared", 2) == 0x9E


def main():
    global HOST, PORT
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    HOST, PORT = sys.argv[1], int(sys.argv[2])
    chosen, failed, ran = set(sys.argv[3:]), 0, 0
    unknown = (chosen | EXCEPTIONS.keys()) - {name for name, _, _ in BEHAVIOURS}
    if unknown:
        sys.exit(f"no such behaviour: {', '.join(sorted(unknown))}")
    for name, versions, function in BEHAVIOURS:
        for version in versions if not chosen or name in chosen else ():
            ran += 1
            try:
                function(version)
            except Exception as error:  # Whatever went wrong, the others are looked at too.
                failed += 1
                print(f"FAILED     {NAMES[version]:6} {name}: {type(error).__name__} {error}")
            else:
                reason = EXCEPTIONS.get(name)
                print(f"{'exception' if reason else 'as it should':12} {NAMES[version]:6} {name}"
                      + (f": {reason}" if reason else ""))
    print(f"{ran} looked at, {failed} failed, {len(EXCEPTIONS)} behaviours differ on purpose")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
