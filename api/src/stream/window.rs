//! The events that an instance keeps for its clients, in order and bounded. A
//! client is a place in it, so any number of clients cost no more memory. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use nemeses_store::live::LiveValue;

use super::event::Event;
use super::id::EventId;

/// Events kept at least, when so many came: 100 s at 1 000 positions/s, 10 s at
/// 10 000. 100 000 of some 120 bytes: 12 MB.
pub(crate) const KEPT: usize = 100_000;
/// The newest, whose texts of some 400 bytes are kept once a client has read them. Those who
/// resume further back have older ones written anew.
const WITH_TEXT: u64 = 10_000;
/// Bytes of values in the events that are kept; beyond, the oldest make room, too.
const MOST_VALUE_BYTES: usize = 32 << 20;

/// Events that were published together.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The number of the first event, counted from this instance's start.
    pub(crate) first: u64,
    pub(crate) events: Vec<Arc<Event>>,
    /// What the values in them take.
    value_bytes: usize,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// The events from this number on.
    pub(crate) fn from(&self, number: u64) -> &[Arc<Event>] {
        let skipped = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.events.get(skipped..).unwrap_or_default()
    }
}

/// Where a client begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The number of the first event to send.
    pub(crate) number: u64,
    /// What to resume from as long as nothing was sent.
    pub(crate) id: EventId,
    /// Why events may be missing before it, if they may.
    pub(crate) gap: Option<&'static str>,
}

/// The asked id or time is older than what is kept.
pub(crate) const TOO_OLD: &str = "too_old";
/// The asked id is not of this stream: the live store has lost its memory since.
pub(crate) const UNKNOWN_ID: &str = "unknown_id";
/// This instance did not see everything: it was cut off for too long, or the live
/// store has lost its memory.
pub(crate) const MISSED: &str = "missed";

#[derive(Debug)]
pub(crate) struct Window {
    chunks: VecDeque<Arc<Chunk>>,
    /// Chunks, from the oldest on, whose texts were dropped.
    without_text: usize,
    kept: usize,
    value_bytes: usize,
    most: usize,
    /// The number that the next event gets.
    end: u64,
    /// Everything that happened behind this place ([`EventId::order`]) is here.
    floor: (u64, u32),
    /// Where the store's stream began; ids below are of one that was lost.
    origin: u64,
    /// The newest that happened, with or without an event of its own.
    last: EventId,
    instance: u32,
}

impl Window {
    pub(crate) fn new(instance: u32, most: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            without_text: 0,
            kept: 0,
            value_bytes: 0,
            most,
            end: 0,
            floor: (0, 0),
            origin: 0,
            last: EventId::default(),
            instance,
        }
    }

    /// Follows the store's stream, which began at `origin`, from behind this place; what
    /// came before it is not known here.
    pub(crate) fn begin_behind(&mut self, place: u64, origin: u64) {
        self.origin = origin;
        self.chunks.clear();
        self.without_text = 0;
        self.kept = 0;
        self.value_bytes = 0;
        self.floor = (place, 0);
        self.last = EventId::at(place);
    }

    /// Everything up to this place of the store's stream has been published.
    pub(crate) fn reached(&mut self, place: u64) {
        if place > self.last.place {
            self.last = EventId::at(place);
        }
    }

    /// The id for something that this instance adds.
    pub(crate) fn added_id(&mut self) -> EventId {
        let added = self.last.added + 1;
        self.last = EventId { place: self.last.place, added, instance: self.instance };
        self.last
    }

    /// Adds events; whole chunks of the oldest make room.
    pub(crate) fn push(&mut self, events: Vec<Arc<Event>>) {
        if let Some(newest) = events.last() {
            if newest.id.order() > self.last.order() {
                self.last = newest.id;
            }
            let values = events.iter().flat_map(|event| event.valued());
            let value_bytes = values.map(LiveValue::bytes).sum();
            let chunk = Chunk { first: self.end, events, value_bytes };
            self.end = chunk.end();
            self.kept += chunk.events.len();
            self.value_bytes += value_bytes;
            self.chunks.push_back(Arc::new(chunk));
        }
        while let Some(oldest) = self.chunks.front()
            && (self.kept - oldest.events.len() >= self.most
                || (self.value_bytes > MOST_VALUE_BYTES && self.chunks.len() > 1))
        {
            self.kept -= oldest.events.len();
            self.value_bytes -= oldest.value_bytes;
            self.floor = oldest.events.last().map_or(self.floor, |event| event.id.order());
            self.chunks.pop_front();
            self.without_text = self.without_text.saturating_sub(1);
        }
        self.drop_texts();
    }

    /// What a client is reading just now keeps its text until it leaves the window.
    fn drop_texts(&mut self) {
        let edge = self.end.saturating_sub(WITH_TEXT);
        while let Some(chunk) = self.chunks.get_mut(self.without_text)
            && chunk.end() <= edge
        {
            let events = Arc::get_mut(chunk).map(|chunk| &mut chunk.events);
            for event in events.into_iter().flatten().filter_map(Arc::get_mut) {
                event.drop_text();
            }
            self.without_text += 1;
        }
    }

    /// The number that the next event gets.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// The newest that happened.
    pub(crate) const fn last(&self) -> EventId {
        self.last
    }

    /// The number of the oldest that is kept.
    pub(crate) fn begin(&self) -> u64 {
        self.chunks.front().map_or(self.end, |chunk| chunk.first)
    }

    /// The chunks with events from this number on; `None` when it is not here any more.
    pub(crate) fn from(&self, number: u64) -> Option<Vec<Arc<Chunk>>> {
        if number < self.begin() {
            return None;
        }
        let behind = self.chunks.partition_point(|chunk| chunk.end() <= number);
        Some(self.chunks.range(behind..).cloned().collect())
    }

    /// Begins with what comes next.
    pub(crate) const fn now(&self) -> Start {
        Start { number: self.end, id: self.last, gap: None }
    }

    /// Begins behind an id that a client has seen.
    pub(crate) fn behind(&self, id: EventId) -> Start {
        // What another instance added is not known here: send ours of that place
        // again, they say what is so rather than what changed.
        let added = if id.instance == self.instance { id.added } else { 0 };
        if (id.place, added) < self.floor {
            let known = id.place >= self.origin;
            return self.all(Some(if known { TOO_OLD } else { UNKNOWN_ID }));
        }
        if id.place > self.last.place {
            return Start { gap: Some(UNKNOWN_ID), ..self.now() };
        }
        let number = self.first_that(|event| event.id.order() > (id.place, added));
        Start { number, id, gap: None }
    }

    /// Begins with the first event since a time.
    pub(crate) fn since(&self, at_ms: u64) -> Start {
        let oldest = self.chunks.front().and_then(|chunk| chunk.events.first());
        // Before the first event of a window that was never full nothing is missing.
        let missing =
            self.end > self.kept as u64 && oldest.is_none_or(|oldest| oldest.at_ms > at_ms);
        if missing {
            return self.all(Some(TOO_OLD));
        }
        self.at(self.first_that(|event| event.at_ms >= at_ms))
    }

    /// Begins so that so many of these events are sent.
    pub(crate) fn last_of(&self, mut most: u32, wanted: impl Fn(&Event) -> bool) -> Start {
        let mut number = self.end;
        for chunk in self.chunks.iter().rev() {
            for event in chunk.events.iter().rev() {
                if most == 0 {
                    return self.at(number);
                }
                number -= 1;
                most -= u32::from(wanted(event));
            }
        }
        self.at(number)
    }

    /// Begins with all there is.
    pub(crate) fn all(&self, gap: Option<&'static str>) -> Start {
        Start { gap, ..self.at(self.begin()) }
    }

    /// Begins with the event of this number.
    fn at(&self, number: u64) -> Start {
        let chunks = self.chunks.partition_point(|chunk| chunk.end() <= number);
        let first = self.chunks.get(chunks).and_then(|chunk| chunk.from(number).first());
        let id = first.map_or(self.last, |event| EventId::at(event.id.place.saturating_sub(1)));
        Start { number, id, gap: None }
    }

    /// The number of the first event for which this holds; it must hold for all
    /// behind it too.
    fn first_that(&self, holds: impl Fn(&Event) -> bool) -> u64 {
        let last_holds = |chunk: &Arc<Chunk>| chunk.events.last().is_some_and(|event| holds(event));
        let chunks = self.chunks.partition_point(|chunk| !last_holds(chunk));
        let Some(chunk) = self.chunks.get(chunks) else { return self.end };
        chunk.first + chunk.events.partition_point(|event| !holds(event)) as u64
    }
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::DeviceId;
    use proptest::prelude::*;

    use super::super::status::Status;
    use super::*;

    const US: u32 = 7;

    fn event(id: EventId) -> Arc<Event> {
        let at_ms = id.place * 10;
        Arc::new(Event::status(id, DeviceId::new(1), None, Status::Late, at_ms))
    }

    fn ids(window: &Window, start: Start) -> Vec<(u64, u32)> {
        let chunks = window.from(start.number).unwrap();
        let events = chunks.iter().flat_map(|chunk| chunk.from(start.number));
        events.map(|event| event.id.order()).collect()
    }

    /// Chunks of places with what was added behind each.
    fn filled(most: usize, chunks: &[Vec<u8>]) -> (Window, Vec<EventId>) {
        let mut window = Window::new(US, most);
        window.begin_behind(1_000, 0);
        let mut all = Vec::new();
        for chunk in chunks {
            let mut events = Vec::new();
            for added in chunk {
                let place = window.last().place + 1;
                window.reached(place);
                events.push(event(EventId::at(place)));
                events.extend((0..*added).map(|_| event(window.added_id())));
            }
            all.extend(events.iter().map(|event| event.id));
            window.push(events);
        }
        (window, all)
    }

    #[test]
    fn old_texts_are_dropped_and_written_anew() {
        let mut window = Window::new(US, KEPT);
        let push = |window: &mut Window, first: u64, number: u64| {
            window.push((first..first + number).map(|place| event(EventId::at(place))).collect());
        };
        push(&mut window, 1, 2);
        push(&mut window, 3, 2);
        let json: Vec<String> = texts(&window, 0);
        // The first chunk is being read while it ages.
        let held = window.from(0).unwrap().remove(0);
        push(&mut window, 5, WITH_TEXT);
        let has = |number: usize| window.from(0).unwrap()[number].events[0].has_text();
        assert!(has(0) && !has(1));
        drop(held);
        assert_eq!(texts(&window, 0)[..4], json);
    }

    fn texts(window: &Window, from: u64) -> Vec<String> {
        let chunks = window.from(from).unwrap();
        chunks
            .iter()
            .flat_map(|chunk| chunk.from(from))
            .map(|event| event.json(&nemeses_protocol::DeviceNames::default()).to_owned())
            .collect()
    }

    proptest! {
        #[test]
        fn resuming_at_any_event_gives_all_behind_it_or_says_so(
            chunks in proptest::collection::vec(proptest::collection::vec(0..3_u8, 0..6), 0..12),
            most in 1..30_usize,
        ) {
            let (window, all) = filled(most, &chunks);
            prop_assert!(window.kept < most + 18);
            for (at, id) in all.iter().enumerate() {
                let start = window.behind(*id);
                let got = ids(&window, start);
                let expected: Vec<_> = all[at + 1..].iter().map(EventId::order).collect();
                if start.gap.is_none() {
                    prop_assert_eq!(&got, &expected);
                    prop_assert_eq!(start.id, *id);
                } else {
                    prop_assert_eq!(start.gap, Some(TOO_OLD));
                    prop_assert!(expected.ends_with(&got));
                    prop_assert!(all.len() > most);
                }
                // Another instance's additions: at least what is behind the place.
                let elsewhere = window.behind(EventId { instance: US + 1, ..*id });
                if elsewhere.gap.is_none() {
                    prop_assert!(ids(&window, elsewhere).ends_with(&expected));
                }
            }
            prop_assert_eq!(ids(&window, window.now()), []);
            prop_assert_eq!(window.behind(window.last()).gap, None);
            prop_assert_eq!(window.behind(EventId::at(u64::MAX)).gap, Some(UNKNOWN_ID));
            prop_assert_eq!(window.behind(EventId::at(3)).gap, Some(TOO_OLD));
        }

        #[test]
        fn the_last_few_are_the_last_few(
            chunks in proptest::collection::vec(proptest::collection::vec(0..2_u8, 0..6), 0..12),
            few in 0..20_u32,
        ) {
            let (window, all) = filled(1_000, &chunks);
            let positions = |event: &Event| event.id.added == 0;
            let got = ids(&window, window.last_of(few, positions));
            let kept: Vec<_> = all.iter().map(EventId::order).collect();
            prop_assert!(kept.ends_with(&got));
            let wanted = got.iter().filter(|(_, added)| *added == 0).count();
            let there = kept.iter().filter(|(_, added)| *added == 0).count();
            prop_assert_eq!(wanted, there.min(few as usize));
        }
    }

    #[test]
    fn since_a_time() {
        let (window, _) = filled(1_000, &[vec![0, 0], vec![0, 0]]);
        assert_eq!(ids(&window, window.since(10_025)), [(1_003, 0), (1_004, 0)]);
        assert_eq!(window.since(0).gap, None, "nothing was thrown away");
        let (full, _) = filled(2, &[vec![0, 0], vec![0, 0]]);
        assert_eq!(full.since(10_030).gap, None);
        assert_eq!(full.since(10_029).gap, Some(TOO_OLD));
        assert_eq!(full.from(1).map(|chunks| chunks.len()), None, "not here any more");
    }

    #[test]
    fn a_stream_that_was_lost_leaves_a_gap() {
        let (mut window, all) = filled(1_000, &[vec![0, 0]]);
        window.begin_behind(9_000, 8_000);
        window.reached(9_001);
        window.push(vec![event(EventId::at(9_001))]);
        assert_eq!(window.behind(all[1]).gap, Some(UNKNOWN_ID), "of the stream that was lost");
        assert_eq!(window.behind(EventId::at(8_500)).gap, Some(TOO_OLD));
        assert_eq!(ids(&window, window.behind(EventId::at(9_000))), [(9_001, 0)]);
    }
}
