//! A document that lives elsewhere (a key set, a list of API keys) and changes without a push of configuration.
//!
//! ```text
//! every worker, at its ticks             one of them, holding the lease            the shared store
//! reads the record ◀───────────────────────────────────────────────────────────── record: whose turn, since when,
//! reads the document when it changed ◀──────────────────────────────────────────── etag, problem │ document: its bytes
//! due, or a call waits? takes the lease ──▶ callout ──▶ answer ──▶ document, record ──▶
//! ```
//!
//! - **One fetch a process**, whoever asks: the lease is taken by compare-and-swap, and a worker that died with it is
//!   overtaken when it ends. This holds in a standalone Envoy as in Istio and needs no extra VM.
//! - **The last good document stays in use** while its source is down or says nonsense; its age is a metric, and the log
//!   gets one line when trouble begins, changes or ends. It outlives pushes of configuration and reloads of a VM, since the
//!   bytes are in the shared store. `max_stale` ends it for those who would rather refuse calls.
//! - **Nobody can make it fetch at will**: beside the refresh there are [`record::MOST_AT_ONCE`] fetches on demand and one
//!   more each [`record::ON_DEMAND_EVERY`], whatever callers send.
//! - **A call may wait** for an attempt that started after it came, and for no longer than such attempts are to be had; so
//!   a rotation refuses nobody, and a source that hangs holds nobody for ever. A fetch that calls wait for is part of the
//!   newest one's trace.
//!
//! What counts is the document. The content type is not looked at: servers lie about it, and a document that can be read is
//! none the worse for it.

mod address;
mod attempt;
mod record;
mod response;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tollgate_core::ports::SharedStore;
use tollgate_core::{Answer, Background, CalloutId, HeaderList, Timestamp, TraceParent};

pub use address::Address;
use record::Record;

/// Reads a document. An error says what is wrong with it, in a few words and without its contents.
pub type Read<T> = Box<dyn Fn(&[u8]) -> Result<T, String>>;

/// Between two looks at the record before the first attempt has ended, and while a call waits.
const POLL_SOON: Duration = Duration::from_millis(10);
/// Until a fetch that a call waits for is begun.
const AT_ONCE: Duration = Duration::from_millis(1);

/// A document and what this worker knows of it.
pub struct Remote<T> {
    name: String,
    address: Address,
    read: Read<T>,
    most_bytes: usize,
    state: RefCell<State<T>>,
}

struct State<T> {
    /// As last read from the store, and its version there.
    record: Record,
    version: Option<u32>,
    /// The document in use, and the attempt that brought it.
    current: Option<(u64, Rc<T>)>,
    /// This worker's callout, and the attempt that it belongs to.
    flight: Option<(CalloutId, u64)>,
    /// The newest call that waits.
    wanted: Option<Wanted>,
}

/// A call that waits.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// When it came.
    at: Timestamp,
    /// The trace that it belongs to.
    trace: Option<TraceParent>,
}

/// A call that may have to wait.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// When it came.
    pub at: Timestamp,
    /// Its head.
    pub head: &'a HeaderList,
}

/// What a worker saw last.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    ended: u64,
    document: Option<u64>,
}

impl<T> State<T> {
    /// Whether the store has another document than the one in use.
    fn has_news(&self) -> bool {
        self.record.document != 0 && self.seen().document != Some(self.record.document)
    }

    fn seen(&self) -> Seen {
        Seen { ended: self.record.ended, document: self.current.as_ref().map(|(attempt, _)| *attempt) }
    }
}

/// Whether waiting may help a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A newer document may be on its way.
    Wait,
    /// What is known is all there is to know; it counts as that, too, once callers have caused all fetches that they may.
    Known,
    /// The server did not say.
    Unknown,
}

/// What a look at the store led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Another document is in use now, or none any more.
    pub document: bool,
    /// Calls that wait should look again.
    pub wake: bool,
}

/// A remote document, whatever is in it.
pub trait Watched {
    /// How soon the next look at the store is due.
    fn pace(&self) -> Duration;
    /// Takes what earlier workers left in the store.
    fn load(&self, store: &dyn SharedStore, now: Timestamp);
    /// Looks at the store, and fetches where it is this worker's turn.
    fn tick(&self, cx: &mut Background<'_>) -> Change;
    /// An answer to somebody's callout.
    fn answer(&self, cx: &mut Background<'_>, callout: CalloutId, answer: &Answer<'_>) -> Change;
    /// Gives the lease back, as the answer will not come.
    fn release(&self, store: &dyn SharedStore);
    /// Where it is.
    fn address(&self) -> &Address;
    /// Takes bytes for the document, as if they had been fetched.
    fn provide(&self, bytes: &[u8]) -> Result<(), String>;
}

impl<T> Remote<T> {
    /// A document of at most so many bytes. `name` is its metric label and what the log calls it.
    pub fn new(name: &str, address: Address, most_bytes: usize, read: Read<T>) -> Self {
        let state = State { record: Record::default(), version: None, current: None, flight: None, wanted: None };
        Self { name: name.to_owned(), address, read, most_bytes, state: RefCell::new(state) }
    }

    /// The document in use.
    pub fn get(&self) -> Option<Rc<T>> {
        self.state.borrow().current.as_ref().map(|(_, document)| Rc::clone(document))
    }

    /// Whether a call that misses something in the document should wait. If so, a fetch is begun.
    pub fn look(&self, asked: Asked<'_>, now: Timestamp) -> Look {
        let mut state = self.state.borrow_mut();
        let record = &state.record;
        if record.has_ended_since(asked.at, now) {
            return if record.problem.is_none() { Look::Known } else { Look::Unknown };
        }
        let may_come = record.is_leased(now)
            || if state.current.is_some() { record.may_look(now) } else { record.is_due(now, &self.address) };
        if !may_come {
            return if state.current.is_some() { Look::Known } else { Look::Unknown };
        }
        if state.wanted.is_none_or(|wanted| wanted.at <= asked.at) {
            state.wanted = Some(Wanted { at: asked.at, trace: TraceParent::of(asked.head) });
        }
        Look::Wait
    }
}

impl<T> Watched for Remote<T> {
    fn address(&self) -> &Address {
        &self.address
    }

    fn provide(&self, bytes: &[u8]) -> Result<(), String> {
        let document = (self.read)(bytes)?;
        self.state.borrow_mut().current = Some((0, Rc::new(document)));
        Ok(())
    }

    fn load(&self, store: &dyn SharedStore, now: Timestamp) {
        let mut state = self.state.borrow_mut();
        self.look_up(&mut state, store);
        if !state.record.is_stale(now, &self.address) {
            self.take_document(&mut state, store);
        }
    }

    fn release(&self, store: &dyn SharedStore) {
        let mut state = self.state.borrow_mut();
        let Some((_, attempt)) = state.flight.take() else { return };
        self.look_up(&mut state, store);
        if state.record.started == attempt {
            let record = Record { leased_until: 0, ..state.record.clone() };
            self.write(&mut state, store, &record);
        }
    }

    fn pace(&self) -> Duration {
        let state = self.state.borrow();
        match () {
            () if state.wanted.is_some() && state.record.leased_until == 0 => AT_ONCE,
            () if state.wanted.is_some() || state.record.ended == 0 => POLL_SOON,
            () => self.address.poll(),
        }
    }

    fn tick(&self, cx: &mut Background<'_>) -> Change {
        let mut state = self.state.borrow_mut();
        let before = state.seen();
        self.look_up(&mut state, cx.store);
        // What another worker brought may be all that the calls here wait for.
        let is_news = state.has_news() && !state.record.is_stale(cx.now, &self.address);
        if !state.record.is_leased(cx.now) && !is_news {
            // An answer that comes now is too late to count.
            state.flight = None;
            let is_due = state.record.is_due(cx.now, &self.address);
            let is_wanted = state.wanted.is_some_and(|wanted| !state.record.has_ended_since(wanted.at, cx.now));
            if is_due || (is_wanted && state.current.is_some() && state.record.may_look(cx.now)) {
                self.begin(&mut state, cx, !is_due);
            }
        }
        self.settle(&mut state, cx, before)
    }

    fn answer(&self, cx: &mut Background<'_>, callout: CalloutId, answer: &Answer<'_>) -> Change {
        let mut state = self.state.borrow_mut();
        let Some((_, attempt)) = state.flight.take_if(|(id, _)| *id == callout) else { return Change::default() };
        let before = state.seen();
        self.look_up(&mut state, cx.store);
        self.finish(&mut state, cx, attempt, &response::read(answer, self.most_bytes));
        self.settle(&mut state, cx, before)
    }
}

#[cfg(test)]
mod tests;
