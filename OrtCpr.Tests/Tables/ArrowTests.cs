using Apache.Arrow;
using Apache.Arrow.Ipc;
using Apache.Arrow.Types;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Tables;
using static OrtCpr.Tests.Tables.TableWriting;

namespace OrtCpr.Tests.Tables;

// Arrow files and streams: each type, compression, and what is wrong.
[TestClass]
public sealed class ArrowTests
{
    private static RecordBatch Numbers() => Batch(
        ("bool", new BooleanArray.Builder().Append(true).Append(false).Build()),
        ("i8", new Int8Array.Builder().Append(-1).Append(2).Build()), ("u8", new UInt8Array.Builder().Append(250).Append(2).Build()),
        ("i16", new Int16Array.Builder().Append(-300).Append(2).Build()),
        ("u16", new UInt16Array.Builder().Append(65000).Append(2).Build()),
        ("i32", new Int32Array.Builder().Append(-70000).Append(2).Build()),
        ("u32", new UInt32Array.Builder().Append(4000000000).Append(2).Build()),
        ("i64", new Int64Array.Builder().Append(-5000000000).Append(2).Build()),
        ("u64", new UInt64Array.Builder().Append(10000000000000000000).Append(2).Build()),
        ("f16", new HalfFloatArray.Builder().Append((Half)0.5f).Append((Half)2).Build()),
        ("f32", new FloatArray.Builder().Append(0.1f).Append(2).Build()), ("f64", new DoubleArray.Builder().Append(0.5).Append(2).Build()),
        ("decimal", new Decimal128Array.Builder(new Decimal128Type(20, 4)).Append(-1.25m).Append(2m).Build()));

    [TestMethod]
    [DataRow(true, null)]
    [DataRow(false, null)]
    [DataRow(true, CompressionCodecType.Zstd)]
    [DataRow(true, CompressionCodecType.Lz4Frame)]
    [DataRow(false, CompressionCodecType.Zstd)]
    public void EveryNumber_BecomesAFeature_InFilesAndStreams(bool isFile, CompressionCodecType? codec)
    {
        using var folder = new TemporaryFolder();
        using TableSource source = TableSource.FromArrow(Arrow(folder["a.arrow"], [Numbers(), Numbers()], isFile, codec));
        Assert.AreEqual(4, source.Count);
        CollectionAssert.AreEqual(new[]
        {
            1, -1, 250, -300, 65000, -70000, 4000000000f, -5000000000f, 10000000000000000000f, 0.5f, 0.1f, 0.5f, -1.25f,
        }.Select(v => (double)v).ToArray(), Example(source, "features", 2));
        CollectionAssert.AreEqual(new double[] { 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2 }, Example(source, "features", 3));
    }

    [TestMethod]
    public void Texts_AlsoByADictionary_AreClassesInTheOrderOfTheirAppearance()
    {
        using var folder = new TemporaryFolder();
        StringArray plain = new StringArray.Builder().Append("setosa").Append("virginica").Append("setosa").Build();
        var encoded = new DictionaryArray(new DictionaryType(Int8Type.Default, StringType.Default, false),
            new Int8Array.Builder().Append(1).Append(0).Append(1).Build(),
            new StringArray.Builder().Append("virginica").Append("setosa").Build());
        foreach (string label in new[] { "plain", "encoded" })
        {
            FloatArray x = new FloatArray.Builder().AppendRange([1, 2, 3]).Build();
            Arrow(folder["a.arrow"], [Batch(("x", x), ("plain", plain), ("encoded", encoded))]);
            using TableSource source = TableSource.FromArrow(folder["a.arrow"], new TableOptions { Label = label, Features = ["x"] });
            CollectionAssert.AreEqual(new[] { "setosa", "virginica" }, Column(source, "label").ClassNames, label);
            CollectionAssert.AreEqual(new double[] { 1 }, Example(source, "label", 1), label);
            using TableSource category = TableSource.FromArrow(folder["a.arrow"],
                new TableOptions { Features = [label], Categorical = [label] });
            CollectionAssert.AreEqual(new double[] { 1 }, Example(category, "features", 1), label);
        }
    }

    [TestMethod]
    public void Lists_OfAFixedSize_AndRaggedOnes()
    {
        using var folder = new TemporaryFolder();
        var ragged = new ListArray.Builder(Int64Type.Default);
        var tokens = (Int64Array.Builder)ragged.ValueBuilder;
        foreach (long[] list in new long[][] { [1, 2, 3], [4] })
        {
            ragged.Append();
            tokens.AppendRange(list);
        }
        var pixels = new FixedSizeListArray.Builder(UInt8Type.Default, 6);
        var values = (UInt8Array.Builder)pixels.ValueBuilder;
        foreach (byte first in new byte[] { 10, 20 })
        {
            pixels.Append();
            for (byte i = 0; i < 6; i++) values.Append((byte)(first + i));
        }
        FixedSizeListArray images = pixels.Build();
        var shaped = new Field("image", images.Data.DataType, true, new Dictionary<string, string>
        {
            ["ARROW:extension:name"] = "arrow.fixed_shape_tensor",
            ["ARROW:extension:metadata"] = "{\"shape\":[2,3]}",
        });
        ListArray lists = ragged.Build();
        var batch = new RecordBatch(new Schema([shaped, new Field("tokens", lists.Data.DataType, true)], null), [images, lists], 2);
        using TableSource source = TableSource.FromArrow(Arrow(folder["a.arrow"], [batch]));
        Assert.AreEqual("'image' UInt8[2,3]; 'tokens' Int64[3]", string.Join("; ", source.Columns));
        CollectionAssert.AreEqual(new double[] { 20, 21, 22, 23, 24, 25 }, Example(source, "image", 1));
        CollectionAssert.AreEqual(new double[] { 4, 0, 0 }, Example(source, "tokens", 1));
        Assert.AreEqual(1, source.LengthOf(1));
    }

    [TestMethod]
    public void WhatIsMissing_AndWhatNoNumberIsMadeOf()
    {
        using var folder = new TemporaryFolder();
        Arrow(folder["a.arrow"],
        [
            Batch(("x", new Int32Array.Builder().Append(1).Build())), Batch(("x", new Int32Array.Builder().AppendNull().Build())),
        ]);
        Refused<DataFileException>(() => TableSource.FromArrow(folder["a.arrow"]), folder["a.arrow"],
            "row 2, column 'x': the value is missing");
        using TableSource source = TableSource.FromArrow(folder["a.arrow"], new TableOptions { MissingValue = 7 });
        CollectionAssert.AreEqual(new double[] { 7 }, Example(source, "features", 1));
        Arrow(folder["b.arrow"], [Batch(("when", new Date32Array.Builder().Append(DateTime.UnixEpoch).Build()),
            ("raw", new BinaryArray.Builder().Append(new byte[] { 1 }.AsSpan()).Build()),
            ("text", new StringArray.Builder().Append("a").Build()))]);
        Refused<DataFileException>(() => TableSource.FromArrow(folder["b.arrow"]), "column 'when' has values of type date32",
            "column 'raw' has values of type binary", "column 'text' has texts");
    }

    [TestMethod]
    public void FilesThatAreNone_EndInAnErrorThatNamesThem()
    {
        using var folder = new TemporaryFolder();
        Refused<FileAccessException>(() => TableSource.FromArrow(folder["missing.arrow"]), folder["missing.arrow"]);
        foreach ((string name, byte[] bytes, string part) in new[]
        {
            ("empty.arrow", System.Array.Empty<byte>(), "is not an Arrow file"), ("old.feather", "FEA1\0\0\0\0"u8.ToArray(), "version 1"),
            ("p.arrow", "PAR1\0\0\0\0"u8.ToArray(), "it is a Parquet file"),
            ("text.arrow", "a,b\n1,2\n3,4\n5,6\n"u8.ToArray(), "is damaged: offset 0"),
        })
        {
            File.WriteAllBytes(folder[name], bytes);
            Refused<DataFileException>(() => TableSource.FromArrow(folder[name]), folder[name], part);
        }
        foreach (bool isFile in new[] { true, false })
        {
            byte[] good = File.ReadAllBytes(Arrow(folder["a.arrow"], [Numbers()], isFile));
            // The end of a stream may be left out; what stands in front of it is all of its rows.
            for (int length = 0; length < good.Length - (isFile ? 0 : 8); length += 3)
            {
                File.WriteAllBytes(folder["cut.arrow"], good[..length]);
                Refused<DataFileException>(() => TableSource.FromArrow(folder["cut.arrow"]), folder["cut.arrow"]);
            }
        }
    }
}
