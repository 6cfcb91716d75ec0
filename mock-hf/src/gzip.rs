//! A gzip container around stored (uncompressed) blocks: valid for every decoder, without a compression library.

use bytes::{BufMut, Bytes, BytesMut};

/// Wraps bytes into gzip.
pub(crate) fn wrap(content: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(content.len() + content.len() / 1000 + 32);
    // Magic, deflate, no flags, no time, unknown system.
    out.put_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let mut blocks = content.chunks(65_535).peekable();
    if blocks.peek().is_none() {
        out.put_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let len = block.len() as u16;
        out.put_u8(u8::from(blocks.peek().is_none()));
        out.put_u16_le(len);
        out.put_u16_le(!len);
        out.put_slice(block);
    }
    out.put_u32_le(crc32(content));
    out.put_u32_le(content.len() as u32);
    out.freeze()
}

fn crc32(content: &[u8]) -> u32 {
    let mut table = [0u32; 256];
    for (index, slot) in table.iter_mut().enumerate() {
        *slot = (0..8).fold(index as u32, |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 });
    }
    !content.iter().fold(!0u32, |crc, byte| table[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    #[test]
    fn checksum_is_the_standard_one() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
    }
}
