using OrtCpr.Graph;
using OrtCpr.Graph.Files;

namespace OrtCpr.Tests.Files;

[TestClass]
public sealed class AtomicFileTests
{
    [TestMethod]
    public void Write_ReplacesTheFile()
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder["a"], "old");
        AtomicFile.Write(folder["a"], stream => stream.Write("new"u8));
        Assert.AreEqual("new", File.ReadAllText(folder["a"]));
        Assert.AreEqual("a", folder.Listing);
    }

    [TestMethod]
    public void Write_ThatFailsHalfway_LeavesTheOldFileAndNoTemporaryOne()
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder["a"], "old");
        string message = Assert.ThrowsExactly<FileAccessException>(() => AtomicFile.Write(folder["a"], stream =>
        {
            stream.Write("half"u8);
            throw new IOException("No space left on device");
        })).Message;
        Assert.Contains(folder["a"], message);
        Assert.Contains("No space left", message);
        Assert.AreEqual("old", File.ReadAllText(folder["a"]));
        Assert.AreEqual("a", folder.Listing);
    }

    [TestMethod]
    public void Write_RemovesWhatKilledWritersHaveLeft_AndNothingElse()
    {
        using TemporaryFolder folder = new();
        string left = $"a.{new string('0', 32)}.tmp", held = $"a.{new string('1', 32)}.tmp", other = $"ab.{new string('0', 32)}.tmp";
        foreach (string name in new[] { left, held, other, "a.tmp", "a.b.tmp" }) File.WriteAllText(folder[name], "half");
        using (new FileStream(folder[held], FileMode.Open, FileAccess.Write, FileShare.None))
            AtomicFile.Write(folder["a"], stream => stream.Write("new"u8));
        Assert.IsFalse(File.Exists(folder[left]));
        foreach (string name in new[] { held, other, "a.tmp", "a.b.tmp", "a" }) Assert.IsTrue(File.Exists(folder[name]), name);
    }

    // The last one wins, and nobody sees a mixture.
    [TestMethod]
    public void Writers_OfOneFileAtOnce_LeaveOneWholeContent()
    {
        using TemporaryFolder folder = new();
        Parallel.For(0, 8, i =>
        {
            for (int k = 0; k < 20; k++) AtomicFile.Write(folder["a"], stream => stream.Write(Enumerable.Repeat((byte)i, 5000).ToArray()));
        });
        byte[] all = File.ReadAllBytes(folder["a"]);
        Assert.HasCount(5000, all);
        Assert.HasCount(1, all.Distinct().ToArray());
        Assert.AreEqual("a", folder.Listing);
    }

    [TestMethod]
    public void Write_PassesOtherErrorsThrough()
    {
        using TemporaryFolder folder = new();
        Assert.ThrowsExactly<InvalidOperationException>(() => AtomicFile.Write(folder["a"], _ => throw new InvalidOperationException()));
        Assert.AreEqual("", folder.Listing);
    }

    [TestMethod]
    public void Write_ToAFolderOrIntoAMissingOne_NamesThePath()
    {
        using TemporaryFolder folder = new();
        Directory.CreateDirectory(folder["sub"]);
        Assert.Contains("sub", Assert.ThrowsExactly<FileAccessException>(() => AtomicFile.Write(folder["sub"], _ => { })).Message);
        string missing = Path.Combine(folder["none"], "a");
        Assert.Contains(missing, Assert.ThrowsExactly<FileAccessException>(() => AtomicFile.Write(missing, _ => { })).Message);
        Assert.AreEqual("", folder.Listing);
    }
}
