using System.Runtime.InteropServices;
using OrtCpr.Data;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Audio;

[TestClass]
public sealed class WavSourceTests
{
    private static float[] Sound(DataSource source, long row)
    {
        byte[] bytes = new byte[source.Columns[0].Length * 4];
        source.Read(0, row, bytes);
        return MemoryMarshal.Cast<byte, float>(bytes).ToArray();
    }

    private static long Class(DataSource source, long row)
    {
        byte[] bytes = new byte[8];
        source.Read(1, row, bytes);
        return BitConverter.ToInt64(bytes);
    }

    private static void Refused(string path, WavOptions? options, params string[] parts)
    {
        string message = Assert.ThrowsExactly<DataFileException>(() => DataSource.FromWav(path, options).Dispose()).Message;
        foreach (string part in parts) StringAssert.Contains(message, part);
    }

    [TestMethod]
    public void AFolder_IsAClass_AndExamplesAreOfOneLength()
    {
        using var folder = new TemporaryFolder();
        SmallWavs.Write(folder["b/two.wav"], [0.5, -0.5, 0.25]);
        SmallWavs.Write(folder["a/deep/one.WAV"], [1]);
        SmallWavs.Write(folder["b/one.wav"], [0.25, 0.25]);
        Directory.CreateDirectory(folder["notes"]);
        using DataSource source = DataSource.FromWav(folder.FolderPath);
        Assert.AreEqual((3L, 3L, 0), (source.Count, source.Columns[0].Length, source.Columns[0].PaddedAxis!.Value));
        CollectionAssert.AreEqual(new[] { "a", "b" }, source.Columns[1].ClassNames);
        CollectionAssert.AreEqual(new long[] { 0, 1, 1 }, Enumerable.Range(0, 3).Select(i => Class(source, i)).ToArray());
        CollectionAssert.AreEqual(new[] { 1, 2, 3 }, Enumerable.Range(0, 3).Select(i => source.LengthOf(i)).ToArray());
        CollectionAssert.AreEqual(new[] { 0.5f, -0.5f, 0.25f }, Sound(source, 2).Select(v => MathF.Round(v, 3)).ToArray());
        using DataSource fixedLength = DataSource.FromWav(folder.FolderPath, new WavOptions { Samples = 2, ChannelAxis = true });
        CollectionAssert.AreEqual(new long[] { 1, 2 }, fixedLength.Columns[0].Dimensions.ToArray());
        Assert.IsNull(fixedLength.Columns[0].PaddedAxis);
        CollectionAssert.AreEqual(new[] { 1f, 0 }, Sound(fixedLength, 0).Select(v => MathF.Round(v, 3)).ToArray());
        CollectionAssert.AreEqual(new[] { 0.5f, -0.5f }, Sound(fixedLength, 2).Select(v => MathF.Round(v, 3)).ToArray());
        using DataSource unlabelled = DataSource.FromWav(folder["b"]);
        Assert.HasCount(1, unlabelled.Columns);
    }

    [TestMethod]
    public void Channels_AreMixed_OrKept()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["a.wav"],
            SmallWavs.Riff(("fmt ", SmallWavs.Format(1, 2, 16000, 16)), ("data", SmallWavs.Pcm16([16384, -16384, 8192, 24576]))));
        using DataSource mono = DataSource.FromWav(folder.FolderPath);
        CollectionAssert.AreEqual(new[] { 0, 0.5f }, Sound(mono, 0));
        using (DataSource both = DataSource.FromWav(folder.FolderPath, new WavOptions { KeepChannels = true, Samples = 3 }))
        {
            CollectionAssert.AreEqual(new long[] { 2, 3 }, both.Columns[0].Dimensions.ToArray());
            CollectionAssert.AreEqual(new[] { 0.5f, 0.25f, 0, -0.5f, 0.75f, 0 }, Sound(both, 0));
        }
        SmallWavs.Write(folder["b.wav"], [1, 1]);
        Refused(folder.FolderPath, new WavOptions { KeepChannels = true }, "numbers of channels differ: 2 in a.wav", "1 in b.wav");
    }

    [TestMethod]
    public void AnotherRate_IsResampled_OrRefused()
    {
        using var folder = new TemporaryFolder();
        SmallWavs.Write(folder["a.wav"], SmallWavs.Sine(440, 4410, 44100), 44100);
        using DataSource source = DataSource.FromWav(folder.FolderPath);
        float[] sound = Sound(source, 0);
        Assert.HasCount(1600, sound);
        double[] expected = [.. SmallWavs.Sine(440, 1600)];
        for (int i = 200; i < 1400; i++) Assert.AreEqual(expected[i], sound[i], 1e-3);
        Refused(folder.FolderPath, new WavOptions { RefuseOtherRates = true }, "a.wav", "44100 Hz; expected 16000. Convert it");
    }

    [TestMethod]
    public void ATable_NamesFilesAndClasses()
    {
        using var folder = new TemporaryFolder();
        SmallWavs.Write(folder["sounds/x.wav"], [0.5]);
        SmallWavs.Write(folder["sounds/y.wav"], [0.25]);
        File.WriteAllText(folder["a.csv"], "file,kind\nsounds/x.wav,up\n\"sounds/y.wav\",down\n");
        var options = new WavOptions { PathColumn = "file", Label = "kind" };
        using DataSource source = DataSource.FromWav(folder["a.csv"], options);
        CollectionAssert.AreEqual(new long[] { 1, 0 }, new[] { Class(source, 0), Class(source, 1) });
        Refused(folder["a.csv"], null, "no column 'path', 'label'; there are 'file', 'kind'");
        Refused(folder["a.csv"], options with { Classes = ["up", "left"] }, "line 3: 'down' is none of the classes 'up', 'left'");
        File.WriteAllText(folder["a.csv"], "file,kind\nsounds/x.wav,up\nsounds/z.wav,up\nsounds/y.wav,\n,up\n");
        Refused(folder["a.csv"], options, "line 3: ", "z.wav", "line 4, column 'kind': the label is missing", "line 5, column 'file'");
    }

    [TestMethod]
    public void WhatIsWrong_AllAtOnce()
    {
        using var folder = new TemporaryFolder();
        Refused(folder.FolderPath, null, "there is no WAV file");
        SmallWavs.Write(folder["a/x.wav"], [0.5]);
        Refused(folder.FolderPath, null, "one class only, 'a'");
        using (DataSource one = DataSource.FromWav(folder.FolderPath, new WavOptions { AllowOneClass = true }))
            Assert.AreEqual(1, one.Count);
        Directory.CreateDirectory(folder["b"]);
        File.WriteAllText(folder["b/bad.wav"], "nonsense");
        File.WriteAllText(folder["b/worse.wav"], "");
        SmallWavs.Write(folder["loose.wav"], [0.5]);
        Refused(folder.FolderPath, null, "bad.wav' has 8 bytes", "worse.wav' has 0 bytes",
            "1 WAV files lie beside the folders of classes, such as loose.wav");
        Assert.ThrowsExactly<OptionException>(() => DataSource.FromWav(folder.FolderPath, new WavOptions { SampleRate = 0, Samples = 0 }));
        Assert.ThrowsExactly<FileAccessException>(() => DataSource.FromWav(folder["nothing.csv"]));
    }

    [TestMethod]
    public void AFileThatChanges_IsNamed()
    {
        using var folder = new TemporaryFolder();
        SmallWavs.Write(folder["x.wav"], [0.5]);
        using DataSource source = DataSource.FromWav(folder.FolderPath);
        SmallWavs.Write(folder["x.wav"], [0.5, 1]);
        StringAssert.Contains(Assert.ThrowsExactly<DataFileException>(() => Sound(source, 0)).Message, "x.wav' has changed");
    }
}
