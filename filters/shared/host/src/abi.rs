//! The hostcalls, as safe functions that cannot panic: a status other than 0 becomes `None` or `false`.
//!
//! The ABI is proxy-wasm 0.2.1. A status is read as a plain number, since a host may answer with one that this code has
//! never heard of; putting it into an `enum` would be undefined behaviour.
//!
//! Two facts make every block below sound. **What goes in**: pointer and length come from one slice or string that
//! outlives the call, and the host only copies from it. **What comes out**: the host asks `proxy_on_memory_allocate` of
//! the SDK for room, which leaks a boxed slice of just that size, so pointer, length and capacity make a `Vec` that
//! nobody else owns. Out-pointers name locals of the right type.
#![allow(unsafe_code, reason = "the one place where the host is called")]

use std::ptr::null_mut;

use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType};

const OK: u32 = 0;

#[rustfmt::skip]
mod raw {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
        pub(super) fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
        pub(super) fn proxy_get_buffer_bytes(buffer: u32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize) -> u32;
        pub(super) fn proxy_set_buffer_bytes(buffer: u32, start: usize, length: usize, data: *const u8, size: usize) -> u32;
        pub(super) fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
        pub(super) fn proxy_replace_header_map_value(map: u32, name: *const u8, name_size: usize, value: *const u8, value_size: usize) -> u32;
        pub(super) fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
        pub(super) fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
        pub(super) fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
        pub(super) fn proxy_get_shared_data(key: *const u8, key_size: usize, data: *mut *mut u8, size: *mut usize, cas: *mut u32) -> u32;
        pub(super) fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, value_size: usize, cas: u32) -> u32;
        pub(super) fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
        pub(super) fn proxy_record_metric(id: u32, value: u64) -> u32;
        pub(super) fn proxy_increment_metric(id: u32, offset: i64) -> u32;
        pub(super) fn proxy_call_foreign_function(name: *const u8, name_size: usize, argument: *const u8, argument_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
        pub(super) fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
        pub(super) fn proxy_set_effective_context(context: u32) -> u32;
        pub(super) fn proxy_continue_stream(stream: u32) -> u32;
        pub(super) fn proxy_send_local_response(
            status: u32, details: *const u8, details_size: usize, body: *const u8, body_size: usize,
            headers: *const u8, headers_size: usize, grpc_status: i32,
        ) -> u32;
    }
}

/// Runs a hostcall that hands out memory. Success without memory means empty bytes.
fn bytes_from(hostcall: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut::<u8>(), 0_usize);
    if hostcall(&raw mut data, &raw mut size) != OK {
        return None;
    }
    if data.is_null() {
        return Some(Vec::new());
    }
    // SAFETY: the host took this memory from `proxy_on_memory_allocate(size)`: a leaked `Box<[u8]>` of `size` bytes from
    // the same global allocator, filled by the host and given to us alone.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// Writes a line to the proxy's log. A log line that is not taken is lost.
pub(crate) fn log(level: LogLevel, message: &str) {
    // SAFETY: the slice outlives the call; the host copies from it.
    let _ = unsafe { raw::proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// Nanoseconds since the Unix epoch; 0 if the host does not say.
pub(crate) fn now_nanos() -> u64 {
    let mut time = 0;
    // SAFETY: the out-pointer names a local `u64`, which stays as it is if the host refuses.
    let _ = unsafe { raw::proxy_get_current_time_nanoseconds(&raw mut time) };
    time
}

/// Some of a buffer. `None` where the buffer does not exist in this phase.
pub(crate) fn buffer(buffer: BufferType, start: usize, max: usize) -> Option<Vec<u8>> {
    // SAFETY: the out-pointers are those of `bytes_from`.
    bytes_from(|data, size| unsafe { raw::proxy_get_buffer_bytes(buffer as u32, start, max, data, size) })
}

/// Replaces a whole buffer. Envoy knows no other range than before, behind and all, so there is no range to choose.
pub(crate) fn replace_buffer(buffer: BufferType, bytes: &[u8]) -> bool {
    // SAFETY: the slice outlives the call; the host copies from it.
    unsafe { raw::proxy_set_buffer_bytes(buffer as u32, 0, usize::MAX, bytes.as_ptr(), bytes.len()) == OK }
}

/// A header map in the encoding of [`crate::wire`]. `None` where the map does not exist in this phase.
pub(crate) fn header_pairs(map: MapType) -> Option<Vec<u8>> {
    // SAFETY: the out-pointers are those of `bytes_from`.
    bytes_from(|data, size| unsafe { raw::proxy_get_header_map_pairs(map as u32, data, size) })
}

/// Replaces all values of a header by one.
pub(crate) fn replace_header(map: MapType, name: &str, value: &[u8]) -> bool {
    let (name_data, value_data) = (name.as_ptr(), value.as_ptr());
    // SAFETY: both slices outlive the call; the host copies from them.
    unsafe { raw::proxy_replace_header_map_value(map as u32, name_data, name.len(), value_data, value.len()) == OK }
}

/// Removes all values of a header.
pub(crate) fn remove_header(map: MapType, name: &str) -> bool {
    // SAFETY: the slice outlives the call; the host copies from it.
    unsafe { raw::proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) == OK }
}

/// A property. Parts of the path are divided by NUL.
pub(crate) fn property(path: &str) -> Option<Vec<u8>> {
    // SAFETY: the slice outlives the call; the out-pointers are those of `bytes_from`.
    bytes_from(|data, size| unsafe { raw::proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Sets a property. A path of one part is what other modules and access logs can read.
pub(crate) fn set_property(path: &str, value: &[u8]) -> bool {
    // SAFETY: both slices outlive the call; the host copies from them.
    unsafe { raw::proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) == OK }
}

/// Shared data with its compare-and-swap number, which is never 0.
pub(crate) fn shared_data(key: &str) -> Option<(Vec<u8>, u32)> {
    let mut cas = 0;
    let out = &raw mut cas;
    // SAFETY: the slice outlives the call; the out-pointers are those of `bytes_from` and a local `u32`.
    let read = |data, size| unsafe { raw::proxy_get_shared_data(key.as_ptr(), key.len(), data, size, out) };
    bytes_from(read).map(|value| (value, cas))
}

/// Writes shared data. A `cas` of 0 overwrites; any other must match, except that a missing key is always made.
pub(crate) fn set_shared_data(key: &str, value: &[u8], cas: u32) -> bool {
    // SAFETY: both slices outlive the call; the host copies from them.
    unsafe { raw::proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) == OK }
}

/// Makes a metric's id. Every call makes a new one, so keep it.
pub(crate) fn define_metric(kind: MetricType, name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: the slice outlives the call; the out-pointer names a local `u32`.
    let status = unsafe { raw::proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) };
    (status == OK).then_some(id)
}

/// Sets a gauge.
pub(crate) fn record_metric(id: u32, value: u64) -> bool {
    // SAFETY: numbers only.
    unsafe { raw::proxy_record_metric(id, value) == OK }
}

/// Adds to a counter; Envoy refuses anything below 1.
pub(crate) fn increment_metric(id: u32, offset: i64) -> bool {
    // SAFETY: numbers only.
    unsafe { raw::proxy_increment_metric(id, offset) == OK }
}

/// Calls a function that the host offers beyond the ABI. `None` where it has none of that name or refuses the argument.
pub(crate) fn call_foreign_function(name: &str, argument: &[u8]) -> Option<Vec<u8>> {
    let (argument_data, argument_size) = (argument.as_ptr(), argument.len());
    // SAFETY: both slices outlive the call; the out-pointers are those of `bytes_from`.
    bytes_from(|data, size| unsafe {
        raw::proxy_call_foreign_function(name.as_ptr(), name.len(), argument_data, argument_size, data, size)
    })
}

/// Asks for a tick of the current root context after each period, in milliseconds; 0 ends them.
pub(crate) fn set_tick_period(millis: u32) -> bool {
    // SAFETY: numbers only.
    unsafe { raw::proxy_set_tick_period_milliseconds(millis) == OK }
}

/// Makes the hostcalls that follow speak for another context. `false` where there is none of that number any more.
pub(crate) fn set_effective_context(context: u32) -> bool {
    // SAFETY: numbers only.
    unsafe { raw::proxy_set_effective_context(context) == OK }
}

/// Lets the held request of the effective context go on. Envoy does so once the callback has returned.
pub(crate) fn continue_request() -> bool {
    const HTTP_REQUEST: u32 = 0;
    // SAFETY: numbers only.
    unsafe { raw::proxy_continue_stream(HTTP_REQUEST) == OK }
}

/// Answers the call here. `headers` are encoded as in [`crate::wire`]; `details` show as `%RESPONSE_CODE_DETAILS%`.
pub(crate) fn send_local_response(status: u16, details: &str, headers: &[u8], body: &[u8]) -> bool {
    const NOT_GRPC: i32 = -1;
    // SAFETY: all slices outlive the call; the host copies from them.
    let sent = unsafe {
        raw::proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NOT_GRPC,
        )
    };
    sent == OK
}
