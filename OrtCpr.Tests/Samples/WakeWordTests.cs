using System.Globalization;
using System.Text.RegularExpressions;
using OrtCpr.Tests.Audio;

namespace OrtCpr.Tests.Samples;

// The sample on few sounds, of its own and in files; and its models, which are what the code beside writes.
[TestClass]
public sealed class WakeWordTests
{
    [TestMethod]
    public void Head_LearnsTheWord()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = SampleRun.Of("WakeWord", folder.FolderPath, "--sounds", "600", "--epochs", "15", "--threads",
            "1", "--out", "out");
        Assert.AreEqual(0, code, output);
        double[] areas = Areas(output);
        Assert.IsLessThan(0.7, areas[0], output);
        Assert.IsGreaterThan(0.9, areas[1], output);
        StringAssert.Contains(output, "600 sounds to train on (200 words), 300 to test (100 words)");
        StringAssert.Contains(output, " of 5 words found");
        Assert.IsTrue(File.Exists(Path.Combine(folder["out"], "recording.png")));
        Assert.IsTrue(File.Exists(Path.Combine(folder["out"], "model.onnx")));
    }

    [TestMethod]
    public void Folders_OfWavFiles_AreClasses()
    {
        using var folder = new TemporaryFolder();
        for (int i = 0; i < 16; i++)
        {
            SmallWavs.Write(Path.Combine(folder["sounds"], "high", $"{i}.wav"), SmallWavs.Sine(2000 + (20 * i), 8000 + (100 * i)));
            SmallWavs.Write(Path.Combine(folder["sounds"], "low", $"{i}.wav"), SmallWavs.Sine(500 + (10 * i), 9000));
            SmallWavs.Write(Path.Combine(folder["sounds"], "silence", $"{i}.wav"), SmallWavs.Sine(100, 9000, size: 0.001 * i));
        }
        (int code, string output) = SampleRun.Of("WakeWord", folder.FolderPath, "--data", "sounds", "--word", "high", "--epochs",
            "30", "--threads", "1", "--out", "out");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "36 sounds to train on (12 words), 12 to test (4 words)");
        Assert.AreEqual(1, Areas(output)[1], 1e-9, output);

        (code, output) = SampleRun.Of("WakeWord", folder.FolderPath, "--data", "sounds");
        Assert.AreEqual(1, code);
        StringAssert.Contains(output, "has high, low, silence; expected a folder 'word' with the word, or another name by --word");
    }

    [TestMethod]
    public void AHead_OfAnotherForm_IsRefused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["linear.onnx"], TestModels.Linear());
        (int code, string output) = SampleRun.Of("WakeWord", folder.FolderPath, "--model", "linear.onnx");
        Assert.AreEqual(1, code);
        StringAssert.Contains(output, "expected one input of features [batch, frames, 96]");
    }

    [TestMethod]
    public void Models_AreWhatTheCodeWrites()
    {
        string artifacts = Path.Combine(House.Repository.Root, "artifacts");
        CollectionAssert.AreEqual(File.ReadAllBytes(Path.Combine(artifacts, "logmel.onnx")), WakeWordModels.LogMel());
        CollectionAssert.AreEqual(File.ReadAllBytes(Path.Combine(artifacts, "wakeword.onnx")), WakeWordModels.Head());
    }

    private static double[] Areas(string output) =>
        [.. Regex.Matches(output, "ROC AUC ([0-9.]+)").Select(m => double.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture))];
}
