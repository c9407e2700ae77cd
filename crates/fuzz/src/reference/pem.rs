//! RFC 7468, read line by line.

/// The certificates, or the number of the line in which something is wrong: where a section begins that does not end or is
/// not base64, or where it is cut by another.
pub(crate) fn pem(data: &[u8]) -> Result<Vec<Vec<u8>>, usize> {
    let lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let begin = at;
        at += 1;
        let Some(label) = label(lines[begin], "BEGIN") else { continue };
        let mut body = Vec::new();
        loop {
            let Some(line) = lines.get(at) else { return Err(begin + 1) };
            at += 1;
            match self::label(line, "END") {
                Some(end) if end == label => break,
                Some(_) => return Err(at),
                None if line.starts_with(b"-----BEGIN ") => return Err(at),
                None => body.push(*line),
            }
        }
        if label == "CERTIFICATE" || label == "X509 CERTIFICATE" {
            found.push(base64(&without_headers(&body)).ok_or(begin + 1)?);
        }
    }
    Ok(found)
}

fn label(line: &[u8], word: &str) -> Option<String> {
    let text = String::from_utf8(line.to_vec()).ok()?;
    let text = text.strip_prefix("-----")?.strip_prefix(word)?.strip_prefix(' ')?;
    text.strip_suffix("-----").map(str::to_owned)
}

fn without_headers(body: &[&[u8]]) -> Vec<u8> {
    let empty = body.iter().position(|line| line.is_empty());
    let has_headers = empty.is_some_and(|at| body[..at].concat().contains(&b':'));
    let from = if has_headers { empty.map_or(0, |at| at + 1) } else { 0 };
    body[from..].concat()
}

/// RFC 4648 section 4: padded, and with no bit set that is not used.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for digit in &text[..text.len() - padding] {
        bits = bits << 6 | u32::try_from(ALPHABET.iter().position(|known| known == digit)?).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0 && held == padding * 2).then_some(bytes)
}
