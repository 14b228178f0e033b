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
