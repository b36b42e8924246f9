//! Finds the clock functions in the image of a vDSO: where they are, and where their symbols keep that address.

/// A function that tells the real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// `clock_gettime`.
    Precise,
    /// `gettimeofday`.
    Micro,
    /// `time`.
    Seconds,
}

/// One symbol to repoint.
#[derive(Debug, Clone, Copy)]
pub struct Symbol {
    /// Which function it names.
    pub clock: Clock,
    /// Where, from the start of the image, the symbol keeps the function's address.
    pub value_at: u64,
}

/// The clock functions of a vDSO, as offsets from its start.
#[derive(Debug)]
pub struct Clocks {
    /// The function behind `clock_gettime`.
    pub clock_gettime: u64,
    /// The function behind `gettimeofday`.
    pub gettimeofday: u64,
    /// Every symbol that names a clock function, aliases included.
    pub symbols: Vec<Symbol>,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
/// The size of a symbol, and where in it the address is.
const SYMBOL: u64 = 24;
const VALUE: u64 = 8;
/// No vDSO has more symbols or dynamic entries than this.
const MOST: u64 = 1_000;

impl Clocks {
    /// Reads the image; the error says what is unusual about it.
    pub fn find(image: &[u8]) -> Result<Clocks, String> {
        if image.get(..5) != Some(b"\x7fELF\x02") {
            return Err("it is not a 64-bit ELF image".into());
        }
        let (bias, dynamic) = segments(image)?;
        let (mut symtab, mut strtab, mut hash) = (None, None, None);
        for nth in 0..MOST {
            let (tag, value) = (word(image, dynamic + 16 * nth)?, word(image, dynamic + 16 * nth + 8)?);
            match tag {
                0 => break,
                DT_HASH => hash = Some(value.wrapping_sub(bias)),
                DT_STRTAB => strtab = Some(value.wrapping_sub(bias)),
                DT_SYMTAB => symtab = Some(value.wrapping_sub(bias)),
                _ => {}
            }
        }
        let (Some(symtab), Some(strtab)) = (symtab, strtab) else { return Err("it has no table of symbols".into()) };
        let count = match hash {
            Some(hash) => u64::from(half(image, hash + 4)?),
            None => strtab.saturating_sub(symtab) / SYMBOL,
        };
        let mut found = Clocks { clock_gettime: 0, gettimeofday: 0, symbols: Vec::new() };
        for nth in 0..count.min(MOST) {
            let at = symtab + SYMBOL * nth;
            let Some(clock) = clock(name(image, strtab + u64::from(half(image, at)?))?) else { continue };
            let value = word(image, at + VALUE)?.wrapping_sub(bias);
            match clock {
                Clock::Precise => found.clock_gettime = value,
                Clock::Micro => found.gettimeofday = value,
                Clock::Seconds => {}
            }
            found.symbols.push(Symbol { clock, value_at: at + VALUE });
        }
        if found.clock_gettime == 0 || found.gettimeofday == 0 {
            return Err("it has no clock_gettime or no gettimeofday".into());
        }
        Ok(found)
    }
}

/// The address at which the image thinks it starts, and where its dynamic section is.
fn segments(image: &[u8]) -> Result<(u64, u64), String> {
    let table = word(image, 0x20)?;
    let count = half(image, 0x38)? & 0xffff;
    let (mut bias, mut dynamic) = (None, None);
    for nth in 0..u64::from(count) {
        let at = table + 56 * nth;
        let (offset, address) = (word(image, at + 8)?, word(image, at + 16)?);
        match half(image, at)? {
            PT_LOAD if bias.is_none() => bias = Some(address.wrapping_sub(offset)),
            PT_DYNAMIC => dynamic = Some(offset),
            _ => {}
        }
    }
    bias.zip(dynamic).ok_or_else(|| "it has no dynamic section".into())
}

fn clock(name: &[u8]) -> Option<Clock> {
    match name.strip_prefix(b"__vdso_").unwrap_or(name) {
        b"clock_gettime" => Some(Clock::Precise),
        b"gettimeofday" => Some(Clock::Micro),
        b"time" => Some(Clock::Seconds),
        _ => None,
    }
}

fn bytes<const N: usize>(image: &[u8], at: u64) -> Result<[u8; N], String> {
    let start = usize::try_from(at).map_err(|e| e.to_string())?;
    let slice = start.checked_add(N).and_then(|end| image.get(start..end));
    slice.and_then(|s| s.try_into().ok()).ok_or_else(|| format!("it ends before byte {at}"))
}

fn word(image: &[u8], at: u64) -> Result<u64, String> {
    bytes(image, at).map(u64::from_le_bytes)
}

fn half(image: &[u8], at: u64) -> Result<u32, String> {
    bytes(image, at).map(u32::from_le_bytes)
}

fn name(image: &[u8], at: u64) -> Result<&[u8], String> {
    let start = usize::try_from(at).map_err(|e| e.to_string())?;
    let rest = image.get(start..).ok_or("a symbol's name lies outside of it")?;
    let end = rest.iter().position(|b| *b == 0).ok_or("a symbol's name does not end")?;
    Ok(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(Clocks::find(b"").is_err());
        assert!(Clocks::find(b"\x7fELF\x01").expect_err("32 bits").contains("64-bit"));
        let mut cut = vec![0; 64];
        cut[..5].copy_from_slice(b"\x7fELF\x02");
        assert!(Clocks::find(&cut).is_err());
    }
}
