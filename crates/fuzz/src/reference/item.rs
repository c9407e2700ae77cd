//! A member of a list of structured fields (RFC 8941 sections 3.1.2 and 3.3), as far as Proxy-Status needs it.

/// A token or a string, and its parameters in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) value: Value,
    pub(crate) parameters: Vec<(String, Value)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Token(String),
    String(String),
    Integer(u64),
}

/// Reads a text that is one item and nothing else.
pub(crate) fn item(text: &[u8]) -> Option<Item> {
    let mut rest = Rest(text);
    let value = rest.value()?;
    let mut parameters = Vec::new();
    while !rest.0.is_empty() {
        rest.take(|byte| byte == b';')?;
        let mut key = String::from(rest.take(|byte| byte.is_ascii_lowercase() || byte == b'*')?);
        key.push_str(&rest.run(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)));
        rest.take(|byte| byte == b'=')?;
        parameters.push((key, rest.value()?));
    }
    Some(Item { value, parameters })
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn value(&mut self) -> Option<Value> {
        match self.0.first()? {
            b'"' => self.string().map(Value::String),
            b'0'..=b'9' => self.run(|byte| byte.is_ascii_digit()).parse().ok().map(Value::Integer),
            _ => {
                let mut token = String::from(self.take(|byte| byte.is_ascii_alphabetic() || byte == b'*')?);
                token.push_str(&self.run(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte)));
                Some(Value::Token(token))
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.take(|byte| byte == b'"')?;
        let mut string = String::new();
        loop {
            match self.take(|byte| (0x20..0x7f).contains(&byte))? {
                '"' => return Some(string),
                '\\' => string.push(self.take(|byte| byte == b'"' || byte == b'\\')?),
                other => string.push(other),
            }
        }
    }

    fn take(&mut self, fits: impl Fn(u8) -> bool) -> Option<char> {
        let (first, rest) = self.0.split_first().filter(|(first, _)| fits(**first))?;
        self.0 = rest;
        Some(char::from(*first))
    }

    fn run(&mut self, fits: impl Fn(u8) -> bool) -> String {
        std::iter::from_fn(|| self.take(&fits)).collect()
    }
}
