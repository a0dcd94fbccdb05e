//! The symbols. Pointers come from the host crate's own wrappers, which is what makes reading them sound.
#![allow(unsafe_code, reason = "the other side of the ABI")]

use std::slice;

use super::{Abi, LocalReply, SentCallout, with};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const CAS_MISMATCH: u32 = 8;

/// One hostcall: the status asked for, or what the host does.
fn hostcall(act: impl FnOnce(&mut Abi) -> u32) -> u32 {
    with(|abi| abi.fail_with.unwrap_or_else(|| act(abi)))
}

/// Copies what the guest points to.
fn copied(data: *const u8, size: usize) -> Vec<u8> {
    // SAFETY: callers of the symbols pass pointer and length of one live slice.
    if size == 0 { Vec::new() } else { unsafe { slice::from_raw_parts(data, size) }.to_vec() }
}

fn text(data: *const u8, size: usize) -> String {
    String::from_utf8_lossy(&copied(data, size)).into_owned()
}

/// Hands out memory as `proxy_on_memory_allocate` of the SDK would: a leaked boxed slice.
fn hand_out(bytes: &[u8], data: *mut *mut u8, size: *mut usize) -> u32 {
    let leaked: &mut [u8] = Box::leak(bytes.to_vec().into_boxed_slice());
    // SAFETY: callers of the symbols pass out-pointers to live locals.
    unsafe {
        *size = leaked.len();
        *data = leaked.as_mut_ptr();
    }
    OK
}

/// Writes a number for the guest.
fn put<T>(out: *mut T, value: T) -> u32 {
    // SAFETY: callers of the symbols pass out-pointers to live locals.
    unsafe { *out = value };
    OK
}

#[unsafe(no_mangle)]
extern "C" fn proxy_log(level: u32, message: *const u8, size: usize) -> u32 {
    hostcall(|abi| {
        abi.log.push((level, text(message, size)));
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32 {
    hostcall(|abi| {
        let now = abi.now;
        abi.now += abi.clock_step;
        put(time, now)
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_buffer_bytes(
    buffer: u32,
    start: usize,
    max: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    hostcall(|abi| match abi.buffers.get(&buffer).and_then(|bytes| bytes.get(start..)) {
        Some(rest) => hand_out(rest.get(..max).unwrap_or(rest), data, size),
        None => NOT_FOUND,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_buffer_bytes(buffer: u32, start: usize, length: usize, data: *const u8, size: usize) -> u32 {
    hostcall(|abi| match abi.buffers.get_mut(&buffer) {
        None => NOT_FOUND,
        Some(bytes) if start == 0 && length >= bytes.len() => {
            *bytes = copied(data, size);
            OK
        }
        Some(_) => BAD_ARGUMENT,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32 {
    hostcall(|abi| {
        let Some(pairs) = abi.maps.get(&map) else { return BAD_ARGUMENT };
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        let mut bytes = number(pairs.len()).to_vec();
        bytes.extend(pairs.iter().flat_map(|(name, value)| [number(name.len()), number(value.len())]).flatten());
        for field in pairs.iter().flat_map(|(name, value)| [name.as_bytes(), value]) {
            bytes.extend(field);
            bytes.push(0);
        }
        hand_out(&bytes, data, size)
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_replace_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    hostcall(|abi| {
        let (name, value) = (text(name, name_size), copied(value, value_size));
        let Some(pairs) = abi.maps.get_mut(&map) else { return BAD_ARGUMENT };
        pairs.retain(|(n, _)| *n != name);
        pairs.push((name, value));
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32 {
    hostcall(|abi| {
        let name = text(name, name_size);
        let Some(pairs) = abi.maps.get_mut(&map) else { return BAD_ARGUMENT };
        pairs.retain(|(n, _)| *n != name);
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32 {
    hostcall(|abi| match abi.properties.get(&copied(path, path_size)) {
        Some(value) => hand_out(value, data, size),
        None => NOT_FOUND,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32 {
    hostcall(|abi| {
        abi.properties.insert(copied(path, path_size), copied(value, value_size));
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_shared_data(
    key: *const u8,
    key_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
    cas: *mut u32,
) -> u32 {
    hostcall(|abi| match abi.shared.get(&copied(key, key_size)) {
        Some((value, version)) => {
            put(cas, *version);
            hand_out(value, data, size)
        }
        None => NOT_FOUND,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_shared_data(
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
    cas: u32,
) -> u32 {
    hostcall(|abi| {
        let key = copied(key, key_size);
        if cas != 0 && abi.shared.get(&key).is_some_and(|(_, version)| *version != cas) {
            return CAS_MISMATCH;
        }
        abi.last_cas += 1;
        abi.shared.insert(key, (copied(value, value_size), abi.last_cas));
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_define_metric(_kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32 {
    hostcall(|abi| {
        abi.definitions.push(text(name, name_size));
        put(id, u32::try_from(abi.definitions.len() - 1).unwrap_or(u32::MAX))
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_record_metric(id: u32, value: u64) -> u32 {
    hostcall(|abi| match abi.definitions.get(id as usize) {
        Some(name) => {
            abi.metrics.insert(name.clone(), value);
            abi.recorded.push((name.clone(), value));
            OK
        }
        None => NOT_FOUND,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_increment_metric(id: u32, offset: i64) -> u32 {
    hostcall(|abi| match (abi.definitions.get(id as usize), u64::try_from(offset)) {
        (None, _) => NOT_FOUND,
        (_, Err(_) | Ok(0)) => BAD_ARGUMENT,
        (Some(name), Ok(by)) => {
            *abi.metrics.entry(name.clone()).or_default() += by;
            OK
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_send_local_response(
    status: u32,
    details: *const u8,
    details_size: usize,
    body: *const u8,
    body_size: usize,
    headers: *const u8,
    headers_size: usize,
    _grpc_status: i32,
) -> u32 {
    hostcall(|abi| {
        if abi.refuse_replies > 0 {
            abi.refuse_replies -= 1;
            return BAD_ARGUMENT;
        }
        abi.replies.push(LocalReply {
            context: abi.context,
            status,
            details: text(details, details_size),
            headers: copied(headers, headers_size),
            body: copied(body, body_size),
        });
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_call_foreign_function(
    name: *const u8,
    name_size: usize,
    argument: *const u8,
    argument_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    hostcall(|abi| match abi.foreign_functions.get(&text(name, name_size)) {
        Some(function) => match function(&copied(argument, argument_size)) {
            Some(result) => hand_out(&result, data, size),
            None => BAD_ARGUMENT,
        },
        None => NOT_FOUND,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_tick_period_milliseconds(period: u32) -> u32 {
    hostcall(|abi| {
        abi.tick_period = period;
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_effective_context(context: u32) -> u32 {
    hostcall(|abi| {
        if abi.gone.contains(&context) {
            return BAD_ARGUMENT;
        }
        abi.context = context;
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_continue_stream(_stream: u32) -> u32 {
    hostcall(|abi| {
        abi.continued.push(abi.context);
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_http_call(
    cluster: *const u8,
    cluster_size: usize,
    headers: *const u8,
    headers_size: usize,
    _body: *const u8,
    _body_size: usize,
    _trailers: *const u8,
    _trailers_size: usize,
    timeout: u32,
    token: *mut u32,
) -> u32 {
    hostcall(|abi| {
        let cluster = text(cluster, cluster_size);
        if !abi.clusters.contains(&cluster) {
            return BAD_ARGUMENT;
        }
        abi.callouts.push(SentCallout { cluster, headers: copied(headers, headers_size), timeout });
        put(token, u32::try_from(abi.callouts.len() - 1).unwrap_or(u32::MAX))
    })
}

/// Hostcalls that the SDK names and the host crate never makes. They exist so that tests link.
macro_rules! never_called {
    ($($name:ident)*) => {
        $(#[unsafe(no_mangle)]
        extern "C" fn $name() -> u32 {
            const UNIMPLEMENTED: u32 = 12;
            UNIMPLEMENTED
        })*
    };
}

never_called! {
    proxy_add_header_map_value proxy_close_stream
    proxy_dequeue_shared_queue proxy_done proxy_enqueue_shared_queue proxy_get_header_map_value proxy_get_log_level
    proxy_get_metric proxy_get_status proxy_grpc_call proxy_grpc_cancel proxy_grpc_close proxy_grpc_send
    proxy_grpc_stream proxy_register_shared_queue proxy_resolve_shared_queue
    proxy_set_header_map_pairs
}
