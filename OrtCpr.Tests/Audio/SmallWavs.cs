using System.Text;

namespace OrtCpr.Tests.Audio;

/// <summary>WAV files, written byte by byte.</summary>
internal static class SmallWavs
{
    // Chunks with their sizes, odd ones with a byte behind them.
    public static byte[] Riff(params (string Id, byte[] Bytes)[] chunks)
    {
        byte[] all = [.. "WAVE"u8, .. chunks.SelectMany(c => (byte[])[.. Encoding.ASCII.GetBytes(c.Id),
            .. BitConverter.GetBytes(c.Bytes.Length),
            .. c.Bytes, .. new byte[c.Bytes.Length % 2]])];
        return [.. "RIFF"u8, .. BitConverter.GetBytes(all.Length), .. all];
    }

    public static byte[] Format(int kind, int channels, int rate, int bits) =>
        [.. BitConverter.GetBytes((ushort)kind), .. BitConverter.GetBytes((ushort)channels), .. BitConverter.GetBytes(rate),
            .. BitConverter.GetBytes(rate * channels * bits / 8), .. BitConverter.GetBytes((ushort)(channels * bits / 8)),
            .. BitConverter.GetBytes((ushort)bits)];

    // WAVE_FORMAT_EXTENSIBLE: size of the rest, valid bits, speakers, and a GUID that begins with the kind.
    public static byte[] Extensible(int kind, int channels, int rate, int bits) =>
        [.. Format(0xFFFE, channels, rate, bits), 22, 0, (byte)bits, 0, 3, 0, 0, 0, (byte)kind, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0,
            0x38, 0x9B, 0x71];

    public static byte[] Pcm16(IEnumerable<short> samples) => [.. samples.SelectMany(BitConverter.GetBytes)];

    // One channel of 16 bits.
    public static string Write(string path, IEnumerable<double> samples, int rate = 16000)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, Riff(("fmt ", Format(1, 1, rate, 16)),
            ("data", Pcm16(samples.Select(s => (short)Math.Round(s * 32767))))));
        return path;
    }

    public static IEnumerable<double> Sine(double frequency, int count, int rate = 16000, double size = 0.5) =>
        Enumerable.Range(0, count).Select(i => size * Math.Sin(2 * Math.PI * frequency * i / rate));
}
