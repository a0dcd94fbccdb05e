//! What kind a payload is, by the type that stands beside it or in its data URL.

/// Kinds that cost tokens by different rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// Any picture.
    Image,
    /// Audio without compression: its bytes tell how long it lasts.
    Pcm,
    /// Audio in any other format.
    Audio,
    /// Video.
    Video,
    /// Text in base64.
    Text,
    /// PDF, office documents, and whatever is unknown.
    File,
}

/// How closely an image is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// `detail: "low"`
    Low,
    /// Any other wish, or none.
    Full,
}

impl Media {
    /// Reads a MIME type (RFC 2045 section 5.1: its case and its parameters do not matter) or OpenAI's audio `format`.
    pub(super) fn of(written: &str) -> Self {
        let essence = written.split(';').next().unwrap_or(written).trim().to_ascii_lowercase();
        let (top, sub) = essence.split_once('/').unwrap_or(("", &essence));
        match (top, sub) {
            ("image", _) => Self::Image,
            ("audio", "wav" | "x-wav" | "wave" | "vnd.wave" | "l16" | "pcm" | "x-pcm" | "aiff" | "x-aiff") => {
                Self::Pcm
            }
            ("audio", _) => Self::Audio,
            ("video", _) => Self::Video,
            ("text", _) | ("application", "json" | "xml" | "javascript" | "x-javascript" | "x-python") => Self::Text,
            ("", "wav" | "pcm16") => Self::Pcm,
            ("", "mp3") => Self::Audio,
            _ => Self::File,
        }
    }
}

/// A data URL (RFC 2397), `data:image/png;base64,…`: its kind if it names one, and the bytes it decodes to. The scheme's
/// case does not matter.
pub(super) fn data_url(text: &str) -> Option<(Option<Media>, u64)> {
    let (scheme, rest) = text.split_at_checked(5)?;
    if !scheme.eq_ignore_ascii_case("data:") {
        return None;
    }
    let (kind, payload) = rest.split_once(',').unwrap_or(("", rest));
    let is_named = kind.split(';').next().is_some_and(|mime| mime.contains('/'));
    Some((is_named.then(|| Media::of(kind)), decoded_bytes(payload)))
}

/// Bytes that so much base64 decodes to (RFC 4648 section 4: four characters for three bytes), at least.
pub(super) fn decoded_bytes(base64: &str) -> u64 {
    let length = base64.trim_end_matches('=').len() as u64;
    (length / 4).saturating_mul(3).saturating_add((length % 4).saturating_mul(3) / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_types() {
        for (written, media) in [
            ("image/png", Media::Image),
            ("IMAGE/JPEG", Media::Image),
            ("audio/wav", Media::Pcm),
            ("audio/L16;rate=24000", Media::Pcm),
            ("audio/mpeg", Media::Audio),
            ("video/mp4", Media::Video),
            ("text/plain; charset=utf-8", Media::Text),
            ("application/json", Media::Text),
            ("application/pdf", Media::File),
            ("wav", Media::Pcm),
            ("mp3", Media::Audio),
            ("", Media::File),
            ("/", Media::File),
        ] {
            assert_eq!(Media::of(written), media, "{written}");
        }
    }

    #[test]
    fn data_urls_are_read_and_others_are_none() {
        assert_eq!(data_url("data:image/png;base64,QUJD"), Some((Some(Media::Image), 3)));
        assert_eq!(data_url("DATA:application/pdf;base64,QQ=="), Some((Some(Media::File), 1)));
        assert_eq!(data_url("data:;base64,QUI="), Some((None, 2)));
        assert_eq!(data_url("data:QUJD"), Some((None, 3)));
        for text in ["", "data", "https://example.com/data:x,", "dat\u{e9}:x"] {
            assert_eq!(data_url(text), None, "{text}");
        }
    }
}
