using System.Text;
using OrtCpr.Data;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Audio;

// Samples by the definition of each format.
[TestClass]
public sealed class WavFileTests
{
    private static readonly float[] Expected = [-1, 0, 0.5f, -0.25f];

    // Bytes of −1, 0, 0.5 and −0.25 in each format.
    private static byte[] Bytes(int kind, int bits) => (kind, bits) switch
    {
        (1, 8) => [0, 128, 192, 96],
        (1, 16) => SmallWavs.Pcm16([short.MinValue, 0, 16384, -8192]),
        (1, 24) => [0, 0, 0x80, 0, 0, 0, 0, 0, 0x40, 0, 0, 0xE0],
        (1, 32) => [.. new[] { int.MinValue, 0, 1 << 30, -(1 << 29) }.SelectMany(BitConverter.GetBytes)],
        (3, 32) => [.. Expected.SelectMany(BitConverter.GetBytes)],
        _ => [.. Expected.SelectMany(v => BitConverter.GetBytes((double)v))],
    };

    [TestMethod]
    [DataRow(1, 8)]
    [DataRow(1, 16)]
    [DataRow(1, 24)]
    [DataRow(1, 32)]
    [DataRow(3, 32)]
    [DataRow(3, 64)]
    public void EveryFormat_PlainAndExtensible_InOneChannelAndTwo(int kind, int bits)
    {
        using var folder = new TemporaryFolder();
        foreach (byte[] format in new[] { SmallWavs.Format(kind, 1, 8000, bits), SmallWavs.Extensible(kind, 1, 8000, bits) })
        {
            File.WriteAllBytes(folder["a.wav"], SmallWavs.Riff(("LIST", [1, 2, 3]), ("fmt ", format), ("data", Bytes(kind, bits)),
                ("id3 ", [1])));
            var file = WavFile.Read(folder["a.wav"]);
            Assert.AreEqual((8000, 1, 4), (file.SampleRate, file.Channels, file.Length));
            CollectionAssert.AreEqual(Expected, file.Samples.ToArray());
        }
        File.WriteAllBytes(folder["a.wav"], SmallWavs.Riff(("fmt ", SmallWavs.Format(kind, 2, 8000, bits)), ("data", Bytes(kind, bits))));
        var stereo = WavFile.Read(folder["a.wav"]);
        Assert.AreEqual((2, 2), (stereo.Channels, stereo.Length));
        CollectionAssert.AreEqual(new[] { -1, 0.5f, 0, -0.25f }, stereo.Samples.ToArray(), "channel by channel");
    }

    // Programs that write into a pipe cannot say how much comes.
    [TestMethod]
    [DataRow(0u)]
    [DataRow(uint.MaxValue)]
    public void AnUnknownSize_IsTheRestOfTheFile(uint size)
    {
        using var folder = new TemporaryFolder();
        byte[] bytes = [.. SmallWavs.Riff(("fmt ", SmallWavs.Format(1, 1, 8000, 16))), .. "data"u8, .. BitConverter.GetBytes(size),
            .. Bytes(1, 16), 7];
        File.WriteAllBytes(folder["a.wav"], bytes);
        CollectionAssert.AreEqual(Expected, WavFile.Read(folder["a.wav"]).Samples.ToArray());
    }

    [TestMethod]
    public void WhatIsWrong_IsNamed()
    {
        using var folder = new TemporaryFolder();
        void Bad(byte[] bytes, params string[] parts)
        {
            File.WriteAllBytes(folder["a.wav"], bytes);
            string message = Assert.ThrowsExactly<DataFileException>(() => WavFile.Read(folder["a.wav"])).Message;
            foreach (string part in (string[])[folder["a.wav"], .. parts]) StringAssert.Contains(message, part);
        }
        byte[] good = SmallWavs.Riff(("fmt ", SmallWavs.Format(1, 1, 8000, 16)), ("data", Bytes(1, 16)));
        for (int length = 0; length < good.Length; length++)
        {
            // With the data's header whole and nothing behind it there is no sample; of part of them the rest is missing.
            Bad(good[..length]);
        }
        Bad([.. "RF64"u8, .. good[4..]], "kind RF64; expected RIFF");
        Bad([.. "OggS"u8, .. good[4..]], "no WAV file");
        Bad(SmallWavs.Riff(("fmt ", SmallWavs.Format(6, 1, 8000, 8)), ("data", [1])), "samples in A-law; expected PCM");
        Bad(SmallWavs.Riff(("fmt ", SmallWavs.Format(1, 1, 8000, 12)), ("data", [1])), "PCM of 12 bits");
        Bad(SmallWavs.Riff(("fmt ", SmallWavs.Format(1, 0, 8000, 16)), ("data", [1, 2])), "0 channels at 8000 Hz");
        Bad(SmallWavs.Riff(("fmt ", SmallWavs.Format(1, 1, 0, 16)), ("data", [1, 2])), "1 channels at 0 Hz");
        Bad(SmallWavs.Riff(("data", [1, 2]), ("fmt ", SmallWavs.Format(1, 1, 8000, 16))), "come before the chunk 'fmt '");
        Bad(SmallWavs.Riff(("fmt ", SmallWavs.Format(1, 1, 8000, 16)), ("data", [1, 2, 3])), "no whole number of 2 bytes");
        Bad(SmallWavs.Riff(("fmt ", SmallWavs.Format(3, 1, 8000, 32)), ("data", BitConverter.GetBytes(float.NaN))),
            "sample 0 of channel 0 is NaN");
        Assert.ThrowsExactly<FileAccessException>(() => WavFile.Read(folder["nothing.wav"]));
    }

    // A tone below the lower rate's half stays what it is, one above is gone, and so is no constant.
    [TestMethod]
    [DataRow(44100, 16000)]
    [DataRow(8000, 16000)]
    [DataRow(48000, 16000)]
    [DataRow(11025, 48000)]
    [DataRow(16001, 16000)]
    public void Resampling_KeepsTones_AndTakesOffWhatTheRateCannotHold(int from, int to)
    {
        int count = from / 2, made = (int)Resampler.LengthOf(count, from, to), edge = made / 10;
        Assert.AreEqual((int)Math.Ceiling(count * (double)to / from), made);
        foreach (double frequency in new[] { 0, 440, 0.38 * Math.Min(from, to) })
        {
            float[] source = [.. Enumerable.Range(0, count).Select(i => (float)Math.Cos(2 * Math.PI * frequency * i / from))];
            float[] target = new float[made];
            Resampler.Of(from, to).Run(source, target);
            for (int i = edge; i < made - edge; i++)
                Assert.AreEqual(Math.Cos(2 * Math.PI * frequency * i / to), target[i], 1e-3, $"{frequency} {i}");
        }
        if (from < to * 1.2) return;
        float[] high = [.. Enumerable.Range(0, count).Select(i => (float)Math.Sin(2 * Math.PI * 0.53 * to * i / from))],
            gone = new float[made];
        Resampler.Of(from, to).Run(high, gone);
        Assert.IsLessThan(2e-4f, gone[edge..^edge].Max(MathF.Abs));
    }

    [TestMethod]
    public void Gain_Shift_AndNoise_AreRandomByTheirNumbers()
    {
        float[] sound = [1, 2, 3, 4, 5, 6];
        var gains = new List<double>();
        var shifts = new HashSet<string>();
        for (int i = 0; i < 300; i++)
        {
            float[] louder = [.. sound], moved = [.. sound], again = [.. sound];
            Transform.RandomGain(6).Apply(louder, [2, 3], SplitMix64.For(1, i));
            gains.Add(20 * Math.Log10(louder[0]));
            Assert.AreEqual(6 * louder[0], louder[5], 1e-5);
            Transform.RandomShift(1).Apply(moved, [2, 3], SplitMix64.For(2, i));
            Transform.RandomShift(1).Apply(again, [2, 3], SplitMix64.For(2, i));
            CollectionAssert.AreEqual(moved, again);
            shifts.Add(string.Join(' ', moved));
        }
        Assert.IsTrue(gains.All(g => Math.Abs(g) <= 6.001) && gains.Min() < -5 && gains.Max() > 5);
        CollectionAssert.AreEquivalent(new[] { "1 2 3 4 5 6", "0 1 2 0 4 5", "2 3 0 5 6 0" }, shifts.ToArray());
        float[] far = [.. sound];
        for (int i = 0; i < 50; i++) Transform.RandomShift(100).Apply(far, [6], SplitMix64.For(3, i));
        Assert.IsTrue(far.All(v => v == 0));
        // The level is uniform to 0.5: the mean of its square is 0.5²/3.
        double square = Enumerable.Range(0, 400).Average(i =>
        {
            float[] noise = new float[501];
            Transform.RandomNoise(0.5).Apply(noise, [501], SplitMix64.For(4, i));
            return noise.Average(v => v * (double)v);
        });
        Assert.AreEqual(0.25 / 3, square, 0.012);
        foreach (Transform bad in new[] { Transform.RandomGain(-1), Transform.RandomShift(-1), Transform.RandomNoise(double.NaN) })
            Assert.ThrowsExactly<OptionException>(() => bad.Check([6]));
        Assert.ThrowsExactly<OptionException>(() => Transform.RandomShift().Check([1, 2, 3]));
    }
}
