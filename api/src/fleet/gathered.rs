//! Gathers requests that each ask history for the last position of one device: while some
//! questions are under way, those that come meanwhile wait and are asked together. History
//! answers a thousand devices by as many statements as one, so 64 readers cost it a few
//! statements and not 64; a request that is alone does not wait.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nemeses_protocol::DeviceId;
use nemeses_store::StoreError;
use nemeses_store::history::LastKnown;
use tokio::sync::oneshot;

/// Questions under way. Few, so that enough gather; more than one, so that one that takes
/// longer does not hold all.
const AT_ONCE: usize = 3;
/// Devices in a question. More wait for the next one.
const MOST: usize = 1000;

/// Shared by all requests.
#[derive(Clone, Default)]
pub(crate) struct Gathered(Arc<Mutex<Asking>>);

#[derive(Default)]
struct Asking {
    under_way: usize,
    waiting: VecDeque<(DeviceId, oneshot::Sender<Word>)>,
}

/// The answer to a waiting request.
enum Word {
    Known(Box<LastKnown>),
    Turn(Turn),
}

/// The right to ask. Whoever drops it passes it on.
struct Turn(Gathered);

enum Entered {
    Turn(Turn),
    Waiting(oneshot::Receiver<Word>),
}

impl Gathered {
    /// What history knows of a device; `ask` asks it, with others if some wait.
    pub(crate) async fn last_known<F>(
        &self,
        device: DeviceId,
        ask: impl Fn(Vec<DeviceId>) -> F,
    ) -> Result<LastKnown, StoreError>
    where
        F: Future<Output = Result<Vec<LastKnown>, StoreError>>,
    {
        let turn = loop {
            match self.enter(device) {
                Entered::Turn(turn) => break turn,
                Entered::Waiting(word) => match word.await {
                    Ok(Word::Known(known)) => return Ok(*known),
                    Ok(Word::Turn(turn)) => break turn,
                    // Whoever asked for it failed, or its request is gone.
                    Err(_) => {}
                },
            }
        };
        let others = self.take();
        let mut devices: Vec<DeviceId> = others.iter().map(|(device, _)| *device).collect();
        devices.push(device);
        devices.sort_unstable();
        devices.dedup();
        let known = ask(devices.clone()).await?;
        drop(turn);
        let of = |device: &DeviceId| {
            let at = devices.binary_search(device).ok();
            at.and_then(|at| known.get(at)).cloned().unwrap_or_default()
        };
        for (device, waits) in others {
            // Its request may be gone.
            let _ = waits.send(Word::Known(Box::new(of(&device))));
        }
        Ok(of(&device))
    }

    fn enter(&self, device: DeviceId) -> Entered {
        let mut asking = self.asking();
        if asking.under_way < AT_ONCE {
            asking.under_way += 1;
            return Entered::Turn(Turn(self.clone()));
        }
        let (waits, word) = oneshot::channel();
        asking.waiting.push_back((device, waits));
        Entered::Waiting(word)
    }

    fn take(&self) -> Vec<(DeviceId, oneshot::Sender<Word>)> {
        let mut asking = self.asking();
        let most = asking.waiting.len().min(MOST - 1);
        asking.waiting.drain(..most).filter(|(_, waits)| !waits.is_closed()).collect()
    }

    /// Who waits longest and is still there; without one, one question less is under way.
    fn next(&self) -> Option<oneshot::Sender<Word>> {
        let mut asking = self.asking();
        while let Some((_, waits)) = asking.waiting.pop_front() {
            if !waits.is_closed() {
                return Some(waits);
            }
        }
        asking.under_way -= 1;
        None
    }

    fn asking(&self) -> MutexGuard<'_, Asking> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(next) = self.0.next() {
            // If it went meanwhile, the turn comes back and is passed on from there.
            let _ = next.send(Word::Turn(Self(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::road::Road;

    /// History that answers when it is let, and remembers what it was asked.
    struct Slow {
        asked: Mutex<Vec<Vec<u32>>>,
        let_go: Semaphore,
    }

    impl Slow {
        fn new() -> Arc<Self> {
            Arc::new(Self { asked: Mutex::default(), let_go: Semaphore::new(0) })
        }

        async fn ask(&self, devices: Vec<DeviceId>) -> Result<Vec<LastKnown>, StoreError> {
            let numbers = devices.iter().map(|device| device.number()).collect();
            self.asked.lock().unwrap().push(numbers);
            self.let_go.acquire().await.unwrap().forget();
            if devices.contains(&DeviceId::new(13)) {
                return Err(StoreError::Missing("13".into()));
            }
            Ok(devices.into_iter().map(known).collect())
        }

        async fn was_asked(&self, times: usize) {
            while self.asked.lock().unwrap().len() < times {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    fn known(device: DeviceId) -> LastKnown {
        let mut newest = Road::new(0).rows()[0].clone();
        newest.position.device = device;
        LastKnown { newest: Some(newest), fix: None }
    }

    type Asked = tokio::task::JoinHandle<Result<LastKnown, StoreError>>;

    fn start(gathered: &Gathered, slow: &Arc<Slow>, device: u32) -> Asked {
        let (gathered, slow) = (gathered.clone(), Arc::clone(slow));
        tokio::spawn(async move {
            gathered.last_known(DeviceId::new(device), |devices| slow.ask(devices)).await
        })
    }

    async fn wait_for(gathered: &Gathered, waiting: usize) {
        while gathered.asking().waiting.len() != waiting {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn those_who_wait_are_asked_for_together() {
        let (gathered, slow) = (Gathered::default(), Slow::new());
        let mut asked: Vec<Asked> = Vec::new();
        for device in 1..=3 {
            asked.push(start(&gathered, &slow, device));
            slow.was_asked(asked.len()).await;
        }
        for device in [9, 5, 7, 5] {
            asked.push(start(&gathered, &slow, device));
        }
        wait_for(&gathered, 4).await;
        slow.let_go.add_permits(1);
        slow.was_asked(4).await;
        slow.let_go.add_permits(9);
        for (asked, device) in asked.into_iter().zip([1, 2, 3, 9, 5, 7, 5]) {
            assert_eq!(asked.await.unwrap().unwrap(), known(DeviceId::new(device)));
        }
        assert_eq!(slow.asked.lock().unwrap()[3..], [vec![5, 7, 9]]);
        assert_eq!(gathered.asking().under_way, 0);
    }

    #[tokio::test]
    async fn one_that_fails_or_goes_takes_nobody_along() {
        let (gathered, slow) = (Gathered::default(), Slow::new());
        let first: Vec<Asked> = (1..=3).map(|device| start(&gathered, &slow, device)).collect();
        slow.was_asked(3).await;
        let wrong = start(&gathered, &slow, 13);
        wait_for(&gathered, 1).await;
        let right = start(&gathered, &slow, 4);
        let gone = start(&gathered, &slow, 6);
        wait_for(&gathered, 3).await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        // One who asks goes, too.
        let mut first = first.into_iter();
        first.next().unwrap().abort();
        slow.let_go.add_permits(20);
        for asked in first {
            assert!(asked.await.unwrap().is_ok());
        }
        assert!(wrong.await.unwrap().is_err());
        assert_eq!(right.await.unwrap().unwrap(), known(DeviceId::new(4)));
        assert_eq!(gathered.asking().under_way, 0);
    }
}
