//! Modules that trap now and then: what a panic, or memory that ran out, does to a filter.
//!
//! No input is known that makes a filter trap, so the module itself is changed: a callback begins with an `unreachable` for
//! every so many contexts. Envoy then gives up the VM with every call in it, and starts a new one for calls that come later
//! (`FAIL_RELOAD`).
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a set-up that fails must end the test at once and say why"
)]

use std::path::Path;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{BlockType, Function, Instruction, Module};
use wasmparser::{ExternalKind, FunctionBody, Parser, Payload, TypeRef};

/// Copies all modules of `from` to `to`, that of `filter` such that `callback` traps once in `every` contexts.
pub fn copy_modules(from: &Path, to: &Path, filter: &str, callback: &str, every: u32) {
    for entry in from.read_dir().expect("the modules are built") {
        let path = entry.expect("the folder is readable").path();
        let bytes = std::fs::read(&path).expect("a module is readable");
        let is_it = path.file_stem().is_some_and(|name| name == filter);
        let bytes = if is_it { trapping(&bytes, callback, every) } else { bytes };
        std::fs::write(to.join(path.file_name().expect("a file has a name")), bytes).expect("the folder is writable");
    }
}

/// The module whose exported `callback`, which takes a context's number first, traps for every `every`th context.
fn trapping(module: &[u8], callback: &str, every: u32) -> Vec<u8> {
    let target = defined_index(module, callback).unwrap_or_else(|| panic!("the module exports no `{callback}`"));
    let mut out = Module::new();
    Trapping { target, every, seen: 0 }
        .parse_core_module(&mut out, Parser::new(0), module)
        .expect("what scripts/build-wasm makes is valid");
    out.finish()
}

/// The place of an exported function among those that the module defines.
fn defined_index(module: &[u8], export: &str) -> Option<u32> {
    let (mut imported, mut found) = (0, None);
    for payload in Parser::new(0).parse_all(module) {
        match payload.expect("what scripts/build-wasm makes is valid") {
            Payload::ImportSection(imports) => {
                let functions =
                    imports.into_imports().flatten().filter(|import| matches!(import.ty, TypeRef::Func(_)));
                imported = u32::try_from(functions.count()).ok()?;
            }
            Payload::ExportSection(exports) => {
                let mut exports = exports.into_iter().flatten();
                found = exports.find(|it| it.name == export && it.kind == ExternalKind::Func).map(|it| it.index);
            }
            _ => {}
        }
    }
    found?.checked_sub(imported)
}

struct Trapping {
    target: u32,
    every: u32,
    /// Functions passed so far.
    seen: u32,
}

impl Reencode for Trapping {
    type Error = std::convert::Infallible;

    fn new_function_with_parsed_locals(&mut self, body: &FunctionBody<'_>) -> Result<Function, Error<Self::Error>> {
        let mut function = utils::new_function_with_parsed_locals(self, body)?;
        if self.seen == self.target {
            let every = i32::try_from(self.every).unwrap_or(i32::MAX);
            for instruction in [
                Instruction::LocalGet(0),
                Instruction::I32Const(every),
                Instruction::I32RemU,
                Instruction::I32Eqz,
                Instruction::If(BlockType::Empty),
                Instruction::Unreachable,
                Instruction::End,
            ] {
                function.instruction(&instruction);
            }
        }
        self.seen += 1;
        Ok(function)
    }
}
