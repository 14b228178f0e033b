using System.Buffers;
using OrtCpr.Graph;
using OrtCpr.Graph.Files;

namespace OrtCpr.Tests.Files;

[TestClass]
public sealed class SourceFileTests
{
    [TestMethod]
    public void Slice_IsReadAgain_WhenItWasForgotten()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["a"], [1, 2, 3, 4, 5]);
        ReadOnlyMemory<byte> memory = new SourceFile(folder["a"]).Slice(1, 3);
        for (int i = 0; i < 3; i++)
        {
            CollectionAssert.AreEqual(new byte[] { 2, 3, 4 }, memory.ToArray());
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        CollectionAssert.AreEqual(new byte[] { 4 }, memory[2..].ToArray());
        Assert.AreEqual(3, memory.Length);
    }

    [TestMethod]
    public void WhatWasRead_IsForgotten()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["a"], [1, 2, 3]);
        ReadOnlyMemory<byte> memory = new SourceFile(folder["a"]).Slice(0, 3);
        Look(memory);
        GC.Collect();
        File.AppendAllText(folder["a"], "x");
        Assert.ThrowsExactly<FileAccessException>(() => memory.ToArray());

        // Nothing of it is left in the frame of the test.
        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static void Look(ReadOnlyMemory<byte> memory) => Assert.AreEqual(1, memory.Span[0]);
    }

    [TestMethod]
    public unsafe void Pin_HoldsTheBytesInPlace()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["a"], [1, 2, 3, 4, 5]);
        ReadOnlyMemory<byte> memory = new SourceFile(folder["a"]).Slice(1, 3)[1..];
        using MemoryHandle pin = memory.Pin();
        GC.Collect();
        CollectionAssert.AreEqual(new byte[] { 3, 4 }, new ReadOnlySpan<byte>(pin.Pointer, 2).ToArray());
    }

    [TestMethod]
    public void AFileThatIsReplaced_IsReadAsItWas()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["a"], [1, 2, 3]);
        ReadOnlyMemory<byte> memory = new SourceFile(folder["a"]).Slice(0, 3);
        AtomicFile.Write(folder["a"], stream => stream.Write([7, 8, 9]));
        CollectionAssert.AreEqual(new byte[] { 1, 2, 3 }, memory.ToArray());
        File.Delete(folder["a"]);
        CollectionAssert.AreEqual(new byte[] { 1, 2, 3 }, memory.ToArray());
    }

    [TestMethod]
    [DataRow(new byte[] { 1 })]
    [DataRow(new byte[] { 7, 8, 9 })]
    public void AFileThatIsWrittenInto_IsRefused(byte[] bytes)
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["a"], [1, 2, 3]);
        ReadOnlyMemory<byte> memory = new SourceFile(folder["a"]).Slice(0, 3);
        File.WriteAllBytes(folder["a"], bytes);
        File.SetLastWriteTimeUtc(folder["a"], DateTime.UtcNow.AddSeconds(5));
        string message = Assert.ThrowsExactly<FileAccessException>(() => memory.ToArray()).Message;
        Assert.Contains(folder["a"], message);
        Assert.Contains("was written to after it was read", message);
    }

    [TestMethod]
    public void MissingFile_IsNamed_AndAnEmptyOneHasNoBytes()
    {
        using TemporaryFolder folder = new();
        Assert.Contains("none.bin", Assert.ThrowsExactly<FileAccessException>(() => new SourceFile(folder["none.bin"])).Message);
        File.WriteAllBytes(folder["a"], []);
        Assert.IsTrue(new SourceFile(folder["a"]).Slice(0, 0).IsEmpty);
    }
}
