//! One attempt to fetch a document, from the lease to what every worker sees of its end.

use std::rc::Rc;

use tollgate_core::ports::{Expect, SharedStore};
use tollgate_core::{Background, metric};

use super::record::Record;
use super::response::{Fetched, Trouble};
use super::{Change, Remote, Seen, State};

/// What an attempt brought.
struct Taken<T> {
    record: Record,
    /// How the metric calls it.
    result: &'static str,
    /// The document, if it is another one.
    document: Option<T>,
}

/// Tries to write a record that other workers write as well.
const MOST_TRIES: usize = 8;

impl<T> Remote<T> {
    pub(super) fn look_up(&self, state: &mut State<T>, store: &dyn SharedStore) {
        let found = store.get(&self.address.record_key());
        state.version = found.as_ref().map(|found| found.version);
        state.record = found.and_then(|found| Record::decode(&found.value)).unwrap_or_default();
    }

    /// Writes the record unless somebody else did since it was read.
    pub(super) fn write(&self, state: &mut State<T>, store: &dyn SharedStore, record: &Record) -> bool {
        let expect = state.version.map_or(Expect::Absent, Expect::Version);
        let is_written = store.put(&self.address.record_key(), &record.encode(), expect);
        self.look_up(state, store);
        is_written
    }

    pub(super) fn begin(&self, state: &mut State<T>, cx: &mut Background<'_>, on_demand: bool) {
        let attempt = cx.now.as_nanos();
        let next = state.record.clone().begun(cx.now, &self.address, on_demand);
        if !self.write(state, cx.store, &next) {
            return;
        }
        let callout =
            self.address.callout(state.record.etag.as_deref(), state.wanted.and_then(|wanted| wanted.trace));
        match cx.callouts.send(&callout) {
            Some(id) => state.flight = Some((id, attempt)),
            None => self.finish(state, cx, attempt, &Err(Trouble::unsent(&callout.cluster))),
        }
    }

    /// Ends an attempt, unless another one has overtaken it.
    pub(super) fn finish(
        &self,
        state: &mut State<T>,
        cx: &mut Background<'_>,
        attempt: u64,
        fetched: &Result<Fetched, Trouble>,
    ) {
        for _ in 0..MOST_TRIES {
            if state.record.started != attempt {
                return;
            }
            let before = state.record.problem.clone();
            let taken = fetched.as_ref().map_err(Clone::clone);
            let taken = taken.and_then(|fetched| self.take(state, cx.store, attempt, fetched));
            let (record, result, document) = match taken {
                Ok(Taken { record, result, document }) => {
                    (record.succeeded(attempt, &self.address), result, document)
                }
                Err(trouble) => {
                    (state.record.clone().failed(cx.now, &self.address, &trouble.problem), trouble.result, None)
                }
            };
            if state.record.started == attempt && self.write(state, cx.store, &record) {
                // Not before: another attempt may have overtaken this one, with a newer document.
                if let Some(document) = document {
                    state.current = Some((attempt, Rc::new(document)));
                }
                cx.meter.add(metric::AUTH_KEY_FETCHES, &[("source", &self.name), ("result", result)], 1);
                self.report(cx, before.as_deref(), &record);
                return;
            }
        }
    }

    /// What follows from an answer that can be used.
    fn take(
        &self,
        state: &mut State<T>,
        store: &dyn SharedStore,
        attempt: u64,
        fetched: &Fetched,
    ) -> Result<Taken<T>, Trouble> {
        let max_age = fetched.max_age.map(|age| age.as_secs());
        let Some(bytes) = &fetched.document else {
            // Nothing was asked conditionally, so nothing can be unchanged.
            if state.record.etag.is_none() {
                return Err(Trouble::status(304));
            }
            let record = Record { max_age, ..state.record.clone() };
            return Ok(Taken { record, result: "not_modified", document: None });
        };
        let tagged = |record: &Record| Record { max_age, etag: fetched.etag.clone(), ..record.clone() };
        // A server without ETag sends the same again and again; nobody needs to read it anew.
        if self.stored(&state.record, store).is_some_and(|stored| stored == *bytes) {
            return Ok(Taken { record: tagged(&state.record), result: "not_modified", document: None });
        }
        let document = (self.read)(bytes).map_err(Trouble::unreadable)?;
        // Reading took its time. Who was overtaken in it must not write over what is newer.
        self.look_up(state, store);
        if state.record.started == attempt {
            let mut value = attempt.to_le_bytes().to_vec();
            value.extend(bytes);
            store.put(&self.address.document_key(), &value, Expect::Anything);
        }
        let record = Record { document: attempt, ..tagged(&state.record) };
        Ok(Taken { record, result: "fetched", document: Some(document) })
    }

    /// The stored bytes of the record's document.
    fn stored(&self, record: &Record, store: &dyn SharedStore) -> Option<Vec<u8>> {
        if record.document == 0 {
            return None;
        }
        let mut value = store.get(&self.address.document_key())?.value;
        let attempt = u64::from_le_bytes(*value.first_chunk()?);
        (attempt == record.document).then(|| value.split_off(size_of::<u64>()))
    }

    /// Takes the store's document into use if it is another one.
    pub(super) fn take_document(&self, state: &mut State<T>, store: &dyn SharedStore) {
        if !state.has_news() {
            return;
        }
        let attempt = state.record.document;
        match self.stored(&state.record, store).and_then(|bytes| (self.read)(&bytes).ok()) {
            Some(document) => state.current = Some((attempt, Rc::new(document))),
            // Half written, or by another version of this filter: it must be fetched whole.
            None => {
                let repaired = state.record.clone().without_document();
                self.write(state, store, &repaired);
            }
        }
    }

    /// What follows from the record as it stands now, beside what was seen before.
    pub(super) fn settle(&self, state: &mut State<T>, cx: &mut Background<'_>, before: Seen) -> Change {
        if state.record.is_stale(cx.now, &self.address) {
            state.current = None;
        } else {
            self.take_document(state, cx.store);
        }
        let after = state.seen();
        let document = before.document != after.document;
        let mut wake = before != after;
        if let Some(wanted) = state.wanted {
            let may_come = !state.record.has_ended_since(wanted.at, cx.now) && state.record.is_leased(cx.now);
            if !may_come {
                state.wanted = None;
                wake = true;
            }
        }
        let age = state.record.age(cx.now, &self.address);
        cx.meter.set(metric::AUTH_KEYS_AGE, &[("source", &self.name)], age.as_secs());
        Change { document, wake }
    }

    /// One line when trouble begins, becomes another or ends.
    fn report(&self, cx: &mut Background<'_>, before: Option<&str>, after: &Record) {
        let name = &self.name;
        match after.problem.as_deref() {
            None if before.is_some() => cx.log.info(&format!("keys of {name}: fetched again")),
            None => {}
            Some(problem) if before != Some(problem) => {
                let effect = if after.document == 0 {
                    "nobody can be let in by them until it is mended"
                } else {
                    "the last good ones stay in use"
                };
                cx.log.warn(&format!("keys of {name}: {problem}; {effect}"));
            }
            Some(_) => {}
        }
    }
}
