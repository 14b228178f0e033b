using OrtCpr.Graph;
using OrtCpr.Graph.Files;

namespace OrtCpr.Tests.Files;

[TestClass]
public sealed class MappedFileTests
{
    [TestMethod]
    public void Slice_PointsIntoTheFile_AndKeepsItMappedWithoutAnOwner()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["a"], [1, 2, 3, 4, 5]);
        ReadOnlyMemory<byte> memory = new MappedFile(folder["a"]).Slice(1, 3);
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        CollectionAssert.AreEqual(new byte[] { 2, 3, 4 }, memory.ToArray());
    }

    [TestMethod]
    public void Slice_AfterDispose_Throws_NotCrashes()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["a"], [1, 2, 3]);
        MappedFile file = new(folder["a"]);
        ReadOnlyMemory<byte> memory = file.Slice(0, 3);
        file.Dispose();
        file.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => memory.ToArray());
    }

    [TestMethod]
    public void EmptyFile_HasNoBytes()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["a"], []);
        using MappedFile file = new(folder["a"]);
        Assert.AreEqual(0, file.Length);
        Assert.IsTrue(file.Slice(0, 0).IsEmpty);
    }

    [TestMethod]
    public void MissingFile_IsNamed()
    {
        using TemporaryFolder folder = new();
        Assert.Contains("none.bin", Assert.ThrowsExactly<FileAccessException>(() => new MappedFile(folder["none.bin"])).Message);
    }
}
