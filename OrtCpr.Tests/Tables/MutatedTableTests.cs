using Apache.Arrow;
using Apache.Arrow.Ipc;
using OrtCpr.Tables;
using static OrtCpr.Tests.Tables.TableWriting;

namespace OrtCpr.Tests.Tables;

// Damaged tables end in an error of ours: no crash, no hang, no large allocation.
[TestClass]
public sealed class MutatedTableTests
{
    private const int Count = 300;

    private static void Survive(string path, Action<string> read)
    {
        byte[] original = File.ReadAllBytes(path);
        Assert.IsGreaterThan(0, Mutations.Survive(original, Count, 11, bytes =>
        {
            File.WriteAllBytes(path, bytes);
            read(path);
        }));
    }

    [TestMethod]
    public void OfParquet()
    {
        using var folder = new TemporaryFolder();
        ParquetFile(folder["a.parquet"], 2, Column<int>("n", [1, null], [3]), Column("t", ["a", "b"], ["a"]),
            Lists<float>("v", [[1, 2], []], [[5]]));
        Survive(folder["a.parquet"], path => TableSource.FromParquet(path, new TableOptions { Label = "t", MissingValue = 0 }).Dispose());
    }

    [TestMethod]
    [DataRow(true, null)]
    [DataRow(false, null)]
    [DataRow(true, CompressionCodecType.Zstd)]
    [DataRow(false, CompressionCodecType.Lz4Frame)]
    public void OfArrow(bool isFile, CompressionCodecType? codec)
    {
        using var folder = new TemporaryFolder();
        var lists = new ListArray.Builder(Apache.Arrow.Types.Int64Type.Default);
        foreach (long[] list in new long[][] { [1, 2, 3], [4] })
        {
            lists.Append();
            ((Int64Array.Builder)lists.ValueBuilder).AppendRange(list);
        }
        RecordBatch batch = Batch(("n", new Int32Array.Builder().Append(1).AppendNull().Build()),
            ("t", new StringArray.Builder().Append("a").Append("b").Build()), ("v", lists.Build()));
        Arrow(folder["a.arrow"], [batch, batch], isFile, codec);
        Survive(folder["a.arrow"], path => TableSource.FromArrow(path, new TableOptions { Label = "t", MissingValue = 0 }).Dispose());
    }
}
