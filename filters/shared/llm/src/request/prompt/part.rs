//! One object of a prompt: whether its members are text, or carry or name something that is none.
//!
//! A payload means nothing by itself. What it is stands in the members beside it, in any order (`type`, `mimeType`,
//! `format`, `detail`), and in the name of the object. So the strings that may be a payload or a reference wait until the
//! object ends; what turns out to be neither is text after all. In doubt it is text, which costs more.

use std::borrow::Cow;

use super::Sum;
use super::media::{Detail, Media, data_url, decoded_bytes};

/// Strings of one object that may wait. No provider's shape has more than two; the rest is text.
const MAX_WAITING: usize = 4;
/// Members whose strings say something about their neighbours.
const WORDS: &[&str] = &["type", "detail", "mimeType", "mime_type", "media_type", "format", "name"];
/// Longest such string, in bytes.
const MAX_WORD: usize = 128;

/// What an object has said about itself so far.
#[derive(Debug, Default)]
pub(super) struct Part<'de> {
    waiting: Vec<(Member, Cow<'de, str>)>,
    kind: Option<Kind>,
    media: Option<Media>,
    detail: Option<Detail>,
    /// Its `source` names something that stands elsewhere.
    source_is_elsewhere: bool,
}

/// A member whose string may be a payload or a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Data,
    FileData,
    FileId,
    FileUrl,
    FileUri,
    /// `image_url` that is a string, as in the responses API.
    ImageUrl,
    /// `url`, and any other name that ends so.
    Url,
}

/// A `type` that decides what a member means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Base64,
    Url,
    File,
    Document,
    InputFile,
    InputImage,
    Other,
}

/// What a string that waited turned out to be.
enum Role {
    Text,
    Payload(Media, u64),
    Reference(Media),
    /// A source that stands elsewhere: the object around says what it is.
    SourceElsewhere,
}

impl Member {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "data" => Self::Data,
            "file_data" => Self::FileData,
            "file_id" => Self::FileId,
            "file_url" => Self::FileUrl,
            "fileUri" | "file_uri" => Self::FileUri,
            "image_url" => Self::ImageUrl,
            _ if name.ends_with("url") => Self::Url,
            _ => return None,
        })
    }
}

impl Kind {
    fn of(word: &str) -> Self {
        match word {
            "base64" => Self::Base64,
            "url" => Self::Url,
            "file" => Self::File,
            "document" => Self::Document,
            "input_file" => Self::InputFile,
            "input_image" => Self::InputImage,
            _ => Self::Other,
        }
    }
}

impl<'de> Part<'de> {
    /// A string that may be a payload or a reference. It comes back if it is text.
    pub(super) fn hold(&mut self, member: Member, text: Cow<'de, str>) -> Option<Cow<'de, str>> {
        if self.waiting.len() >= MAX_WAITING {
            return Some(text);
        }
        self.waiting.push((member, text));
        None
    }

    /// Whether a member's string says something about its neighbours. No such word is long.
    pub(super) fn is_word(name: &str, text: &str) -> bool {
        WORDS.contains(&name) && text.len() <= MAX_WORD
    }

    /// A member that says what another one is. Where two contradict each other, neither is believed.
    pub(super) fn note(&mut self, name: &str, word: &str) {
        match name {
            "type" => self.kind = Some(agreed(self.kind, Kind::of(word), Kind::Other)),
            "detail" => {
                let detail = if word == "low" { Detail::Low } else { Detail::Full };
                self.detail = Some(agreed(self.detail, detail, Detail::Full));
            }
            "mimeType" | "mime_type" | "media_type" | "format" => {
                self.media = Some(agreed(self.media, Media::of(word), Media::File));
            }
            _ => {}
        }
    }

    /// Its `source` names something that stands elsewhere.
    pub(super) fn note_source_elsewhere(&mut self) {
        self.source_is_elsewhere = true;
    }

    /// The object of this name has ended. Whether it is a source that stands elsewhere.
    pub(super) fn close(mut self, name: &str, sum: &mut Sum) -> bool {
        let detail = self.detail.unwrap_or(Detail::Full);
        let mut is_elsewhere = false;
        for (member, text) in std::mem::take(&mut self.waiting) {
            match self.role(name, member, &text) {
                Role::Text => sum.text(None, &text),
                Role::Payload(media, bytes) => sum.payload(media, detail, bytes),
                Role::Reference(media) => sum.reference(media, detail),
                Role::SourceElsewhere => is_elsewhere = true,
            }
        }
        if self.source_is_elsewhere {
            let media = if self.kind == Some(Kind::Document) { Media::File } else { Media::Image };
            sum.reference(media, detail);
        }
        is_elsewhere
    }

    fn role(&self, name: &str, member: Member, text: &str) -> Role {
        let inline = |fallback: Media| {
            data_url(text).map(|(media, bytes)| Role::Payload(media.or(self.media).unwrap_or(fallback), bytes))
        };
        match (member, name) {
            (Member::Data, "inlineData" | "inline_data") => self.payload(Media::File, text),
            (Member::Data, "input_audio") => self.payload(Media::Audio, text),
            // Anthropic's documents may also be plain text.
            (Member::Data, "source") if self.kind == Some(Kind::Base64) => self.payload(Media::File, text),
            (Member::FileData, _) => inline(Media::File).unwrap_or_else(|| self.payload(Media::File, text)),
            (Member::FileUrl, _) => inline(Media::File).unwrap_or(Role::Reference(Media::File)),
            (Member::FileUri, _) => Role::Reference(self.media.unwrap_or(Media::File)),
            (Member::ImageUrl, _) | (Member::Url, "image_url") => {
                inline(Media::Image).unwrap_or(Role::Reference(Media::Image))
            }
            (Member::Url, "video_url") => inline(Media::Video).unwrap_or(Role::Reference(Media::Video)),
            (Member::Url, "audio_url") => inline(Media::Audio).unwrap_or(Role::Reference(Media::Audio)),
            (Member::Url, "source") if self.kind == Some(Kind::Url) => Role::SourceElsewhere,
            (Member::Url, _) => inline(Media::File).unwrap_or(Role::Text),
            (Member::FileId, "source") if self.kind == Some(Kind::File) => Role::SourceElsewhere,
            (Member::FileId, "file") => Role::Reference(Media::File),
            (Member::FileId, _) if self.kind == Some(Kind::InputFile) => Role::Reference(Media::File),
            (Member::FileId, _) if self.kind == Some(Kind::InputImage) => Role::Reference(Media::Image),
            (Member::Data | Member::FileId, _) => Role::Text,
        }
    }

    fn payload(&self, fallback: Media, base64: &str) -> Role {
        Role::Payload(self.media.unwrap_or(fallback), decoded_bytes(base64))
    }
}

fn agreed<T: PartialEq>(before: Option<T>, now: T, in_doubt: T) -> T {
    match before {
        Some(before) if before != now => in_doubt,
        _ => now,
    }
}
