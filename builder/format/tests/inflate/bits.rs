//! A deflate decoder that reads bit by bit, from RFC 1951 alone, and the writer that makes streams for it: slow, plain,
//! and without a table, a buffer or a boundary case in common with the one under test. For valid streams only.

/// Bits of a byte slice, lowest first.
pub(crate) struct BitReader<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl BitReader<'_> {
    fn take(&mut self, count: usize) -> usize {
        (0..count).fold(0, |value, i| {
            let bit = self.bytes[self.at / 8] >> (self.at % 8) & 1;
            self.at += 1;
            value | usize::from(bit) << i
        })
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

/// A prefix code: how many symbols have each length, and the symbols in canonical order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        for &length in lengths {
            counts[length] += 1;
        }
        let mut symbols: Vec<_> = (0..lengths.len())
            .filter(|&symbol| lengths[symbol] > 0)
            .collect();
        symbols.sort_by_key(|&symbol| lengths[symbol]);
        Self { counts, symbols }
    }

    fn symbol(&self, bits: &mut BitReader<'_>) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code = code << 1 | bits.take(1);
            if code - first < *count {
                return self.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
        }
        panic!("no code");
    }
}

/// Decodes one block to the end of `plain`; true when it says that it is the last.
pub(crate) fn block(bits: &mut BitReader<'_>, plain: &mut Vec<u8>) -> bool {
    let last = bits.take(1) == 1;
    match bits.take(2) {
        0 => {
            bits.align();
            let length = bits.take(16);
            assert_eq!(length ^ 0xffff, bits.take(16));
            let from = bits.at / 8;
            plain.extend(&bits.bytes[from..from + length]);
            bits.at += 8 * length;
        }
        1 => {
            let mut literals = vec![8; 288];
            literals[144..256].fill(9);
            literals[256..280].fill(7);
            coded(bits, plain, &Code::new(&literals), &Code::new(&[5; 32]));
        }
        2 => {
            let (literals, distances) = codes(bits);
            coded(bits, plain, &literals, &distances);
        }
        _ => panic!("no block type"),
    }
    last
}

fn codes(bits: &mut BitReader<'_>) -> (Code, Code) {
    let (literals, distances, coded) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
    let mut lengths = [0; 19];
    for &symbol in &LENGTH_ORDER[..coded] {
        lengths[symbol] = bits.take(3);
    }
    let code = Code::new(&lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.symbol(bits) {
            16 => (*lengths.last().unwrap(), 3 + bits.take(2)),
            17 => (0, 3 + bits.take(3)),
            18 => (0, 11 + bits.take(7)),
            length => (length, 1),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    let distances = lengths.split_off(literals);
    (Code::new(&lengths), Code::new(&distances))
}

fn coded(bits: &mut BitReader<'_>, plain: &mut Vec<u8>, literals: &Code, distances: &Code) {
    loop {
        let symbol = literals.symbol(bits);
        if symbol < 256 {
            plain.push(symbol as u8);
        } else if symbol == 256 {
            return;
        } else {
            let length = match symbol - 257 {
                28 => 258,
                short @ 0..8 => 3 + short,
                long => {
                    let extra = long / 4 - 1;
                    3 + ((4 + long % 4) << extra) + bits.take(extra)
                }
            };
            let distance = match distances.symbol(bits) {
                near @ 0..4 => 1 + near,
                far => {
                    let extra = far / 2 - 1;
                    1 + ((2 + far % 2) << extra) + bits.take(extra)
                }
            };
            for _ in 0..length {
                plain.push(plain[plain.len() - distance]);
            }
        }
    }
}

/// The order in which a dynamic block states the lengths of its length codes.
pub(crate) const LENGTH_ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// Writes bits, lowest first.
#[derive(Clone, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    count: usize,
}

impl BitWriter {
    pub(crate) fn put(mut self, value: usize, count: usize) -> Self {
        for i in 0..count {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |=
                ((value.unbounded_shr(i as u32) & 1) as u8) << (self.count % 8);
            self.count += 1;
        }
        self
    }

    /// A Huffman code, which is written highest bit first.
    pub(crate) fn code(self, code: usize, count: usize) -> Self {
        (0..count)
            .rev()
            .fold(self, |bits, i| bits.put(code >> i & 1, 1))
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}
