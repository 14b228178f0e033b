using System.Text;
using OrtCpr.Data;

namespace OrtCpr.Tests.DataSources;

// Damaged files end in an error of ours: no crash, no hang, no large allocation. ORTCPR_MUTATIONS raises the number, 300 a format.
[TestClass]
public sealed class MutatedDataTests
{
    private const int Count = 300;

    private static readonly byte[] Array =
        ReaderTests.Npy("{'descr': '<i4', 'fortran_order': False, 'shape': (3, 2), }   \n", new byte[24]);

    private static void Survive(byte[] original, Action<byte[]> read) =>
        Assert.IsGreaterThan(0, Mutations.Survive(original, Count, 11, read));

    private static void OfFile(string name, byte[] original, Action<string> read)
    {
        using var folder = new TemporaryFolder();
        Survive(original, bytes =>
        {
            File.WriteAllBytes(folder[name], bytes);
            read(folder[name]);
        });
    }

    [TestMethod]
    public void Npy() => Survive(Array, bytes => NumpyFile.Read(new MemoryStream(bytes), "x.npy"));

    [TestMethod]
    public void Npz() =>
        Survive(ReaderTests.Npz(("x.npy", Array), ("y.npy", Array)), bytes => NumpyFile.Read(new MemoryStream(bytes), "x.npz"));

    [TestMethod]
    public void Idx() => Survive([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4], bytes => IdxFile.Parse(bytes, "x"));

    [TestMethod]
    public void Csv() =>
        Survive(Encoding.UTF8.GetBytes("a,b,c\n1,2,x\n3,4,y\n\"5\",6,z\n"), bytes =>
        CsvSource.Read(new MemoryStream(bytes), "x.csv", new CsvOptions { Label = "c" }));

    [TestMethod]
    public void Cifar() =>
        OfFile("train.bin", [.. Enumerable.Range(0, 2 * 3074).Select(i => (byte)(i % 3074 == 0 ? 3 : i % 19))], path =>
        CifarSource.OfFiles([path], 100).Dispose());

    [TestMethod]
    public void Tokens() => OfFile("t.bin", [.. Enumerable.Range(0, 40).Select(i => (byte)i)], path =>
    {
        using DataSource source = DataSource.FromTokenFile(path, 8);
        byte[] target = new byte[64];
        for (long row = 0; row < source.Count; row++) source.Read(1, row, target);
    });
}
