using System.Buffers.Binary;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>A WAV file (RIFF): PCM of 8, 16, 24 or 32 bits and floating point of 32 or 64, also as
/// <c>WAVE_FORMAT_EXTENSIBLE</c>.</summary>
public sealed class WavFile
{
    private const ushort Pcm = 1, Float = 3, Extensible = 0xFFFE;

    private static readonly Dictionary<ushort, string> Compressions = new()
    {
        [2] = "ADPCM",
        [6] = "A-law",
        [7] = "µ-law",
        [0x11] = "IMA ADPCM",
        [0x31] = "GSM 6.10",
        [0x55] = "MP3",
        [0xFF] = "AAC",
    };

    private WavFile(WavFormat format, float[] samples) => (Format, Samples) = (format, samples);

    internal WavFormat Format { get; }

    /// <summary>Samples a second of each channel, in Hz.</summary>
    public int SampleRate => Format.SampleRate;

    /// <summary>Channels, at least 1.</summary>
    public int Channels => Format.Channels;

    /// <summary>Samples of each channel.</summary>
    public int Length => (int)Format.Frames;

    /// <summary>Samples [channels, length], channel by channel. PCM is in [−1, 1): a sample divided by its type's largest
    /// absolute value; floating point is as it stands in the file.</summary>
    public ReadOnlyMemory<float> Samples { get; }

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file, of at most 2 GiB.</param>
    /// <exception cref="FileAccessException">It can't be read.</exception>
    /// <exception cref="DataFileException">It is no WAV file, is cut off, is compressed, or has a sample that is no finite
    /// number.</exception>
    public static WavFile Read(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return DataFile.Guard(path, () =>
        {
            using FileStream file = File.OpenRead(path);
            WavFormat format = Describe(file, path);
            byte[] data = new byte[checked((int)(format.Frames * format.BlockSize))];
            file.Position = format.Offset;
            file.ReadExactly(data);
            return new WavFile(format, Decode(data, format, path));
        });
    }

    /// <summary>What the file says of itself; the samples are not read.</summary>
    internal static WavFormat ReadFormat(string path) => DataFile.Guard(path, () =>
    {
        using FileStream file = File.OpenRead(path);
        return Describe(file, path);
    });

    private static WavFormat Describe(FileStream file, string path)
    {
        Span<byte> head = stackalloc byte[12];
        if (file.ReadAtLeast(head, 12, throwOnEndOfStream: false) < 12)
            throw new DataFileException($"'{path}' has {file.Length} bytes; a WAV file has at least 44.");
        if (head[..4].SequenceEqual("RIFX"u8) || head[..4].SequenceEqual("RF64"u8))
        {
            throw new DataFileException($"'{path}' is of the kind {System.Text.Encoding.ASCII.GetString(head[..4])}; expected RIFF. Save "
            + "it as a WAV file of less than 4 GiB.");
        }
        if (!head[..4].SequenceEqual("RIFF"u8) || !head[8..].SequenceEqual("WAVE"u8))
            throw new DataFileException($"'{path}' is no WAV file: it does not begin with RIFF … WAVE.");
        WavFormat? format = null;
        Span<byte> chunk = stackalloc byte[8];
        while (file.Position + 8 <= file.Length)
        {
            file.ReadExactly(chunk);
            long at = file.Position, size = BinaryPrimitives.ReadUInt32LittleEndian(chunk[4..]);
            if (chunk[..4].SequenceEqual("fmt "u8)) format = ReadFormat(file, size, path);
            else if (chunk[..4].SequenceEqual("data"u8)) return WithData(format, file.Length, at, size, path);
            // Chunks begin at even offsets.
            file.Position = at + size + (size & 1);
        }
        throw new DataFileException($"'{path}' has no samples: it ends before a chunk 'data'.");
    }

    private static WavFormat ReadFormat(FileStream file, long size, string path)
    {
        long offset = file.Position;
        byte[] bytes = new byte[40];
        int got = file.ReadAtLeast(bytes, (int)Math.Min(size, bytes.Length), throwOnEndOfStream: false);
        if (size < 16 || got < Math.Min(size, 40)) throw new DataFileException($"'{path}', offset {offset}: the chunk 'fmt ' is cut off.");
        ushort Word(int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(at));
        ushort kind = Word(0), channels = Word(2), block = Word(12), bits = Word(14);
        uint rate = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(4));
        // The kind is then the first word of a GUID.
        if (kind == Extensible && size >= 40) kind = Word(24);
        bool isKnown = (kind == Pcm && bits is 8 or 16 or 24 or 32) || (kind == Float && bits is 32 or 64);
        if (!isKnown)
        {
            string name = kind is Pcm or Float ? $"{(kind == Pcm ? "PCM" : "floating point")} of {bits} bits"
                : Compressions.TryGetValue(kind, out string? known) ? known : $"format 0x{kind:X4}";
            throw new DataFileException($"'{path}' has samples in {name}; expected PCM of 8, 16, 24 or 32 bits, or floating point of 32 or "
            + "64. Convert it.");
        }
        if (channels == 0 || rate is 0 or > int.MaxValue || block != channels * bits / 8)
        {
            throw new DataFileException($"'{path}', offset {offset}: {channels} channels at {rate} Hz in blocks of {block} bytes make no "
            + $"sense with {bits} bits a sample.");
        }
        return new WavFormat((int)rate, channels, bits, kind == Float, 0, 0);
    }

    private static WavFormat WithData(WavFormat? format, long length, long at, long size, string path)
    {
        if (format is null) throw new DataFileException($"'{path}', offset {at}: the samples come before the chunk 'fmt '.");
        long rest = length - at;
        // A program that writes into a pipe does not know the size when it writes it.
        if (size is 0 or uint.MaxValue or 0x7FFFFFFF) size = rest / format.BlockSize * format.BlockSize;
        if (size > rest)
            throw new DataFileException($"'{path}' is cut off: {size} bytes of samples are announced; found {rest}.");
        if (size == 0) throw new DataFileException($"'{path}' has no samples.");
        if (size % format.BlockSize != 0)
            throw new DataFileException($"'{path}': {size} bytes of samples are no whole number of {format.BlockSize} bytes.");
        if (size > int.MaxValue) throw new DataFileException($"'{path}' has {size} bytes of samples; expected at most 2 GiB.");
        return format with { Offset = at, Frames = size / format.BlockSize };
    }

    private static float[] Decode(byte[] data, WavFormat format, string path)
    {
        int channels = format.Channels, frames = (int)format.Frames, width = format.Bits / 8;
        float[] samples = new float[channels * frames];
        for (int c = 0; c < channels; c++)
        {
            Span<float> channel = samples.AsSpan(c * frames, frames);
            for (int i = 0; i < frames; i++) channel[i] = Sample(data.AsSpan(((i * channels) + c) * width, width), format.IsFloat);
        }
        int bad = format.IsFloat ? Array.FindIndex(samples, s => !float.IsFinite(s)) : -1;
        return bad < 0 ? samples
            : throw new DataFileException($"'{path}': sample {bad % frames} of channel {bad / frames} is {samples[bad]}; "
            + "expected a finite number.");
    }

    private static float Sample(ReadOnlySpan<byte> bytes, bool isFloat) => (bytes.Length, isFloat) switch
    {
        (1, _) => (bytes[0] - 128) / 128f,
        (2, _) => BinaryPrimitives.ReadInt16LittleEndian(bytes) / 32768f,
        (3, _) => ((bytes[0] << 8) | (bytes[1] << 16) | (bytes[2] << 24)) / 2147483648f,
        (4, false) => BinaryPrimitives.ReadInt32LittleEndian(bytes) / 2147483648f,
        (4, true) => BinaryPrimitives.ReadSingleLittleEndian(bytes),
        _ => (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes),
    };
}

/// <summary>What a WAV file says of its samples.</summary>
/// <param name="SampleRate">Hz.</param>
/// <param name="Channels">Channels.</param>
/// <param name="Bits">Of a sample.</param>
/// <param name="IsFloat">Floating point, else PCM.</param>
/// <param name="Offset">Where the samples begin.</param>
/// <param name="Frames">Samples of each channel.</param>
internal sealed record WavFormat(int SampleRate, int Channels, int Bits, bool IsFloat, long Offset, long Frames)
{
    /// <summary>Bytes of one sample of all channels.</summary>
    public int BlockSize => Channels * Bits / 8;
}
