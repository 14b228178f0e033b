using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Tables;
using Parquet.Schema;
using static OrtCpr.Tests.Tables.TableWriting;

namespace OrtCpr.Tests.Tables;

// Parquet files: each type, what is missing, and what is wrong.
[TestClass]
public sealed class ParquetTests
{
    [TestMethod]
    public void EveryNumber_BecomesAFeature_InSeveralRowGroups()
    {
        using var folder = new TemporaryFolder();
        ParquetFile(folder["a.parquet"], 2,
            Column<bool>("bool", [true, false], [true]), Column<sbyte>("i8", [-1, 2], [3]), Column<byte>("u8", [250, 2], [3]),
            Column<short>("i16", [-300, 2], [3]), Column<ushort>("u16", [65000, 2], [3]), Column<int>("i32", [-70000, 2], [3]),
            Column<uint>("u32", [4000000000, 2], [3]), Column<long>("i64", [-5000000000, 2], [3]),
            Column<ulong>("u64", [10000000000000000000, 2], [3]), Column<float>("f", [0.1f, 2], [3]), Column<double>("d", [0.5, 2], [3]),
            (new DecimalDataField("decimal", 20, 4), (w, f, g) => w.WriteAsync<decimal>(f, g == 0 ? new[] { -1.25m, 2 } : [3])));
        using TableSource source = TableSource.FromParquet(folder["a.parquet"]);
        Assert.AreEqual(3, source.Count);
        CollectionAssert.AreEqual(new[]
        {
            1, -1, 250, -300, 65000, -70000, 4000000000f, -5000000000f, 10000000000000000000f, 0.1f, 0.5f, -1.25f,
        }.Select(v => (double)v).ToArray(), Example(source, "features", 0));
        CollectionAssert.AreEqual(new double[] { 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2 }, Example(source, "features", 1));
        CollectionAssert.AreEqual(new double[] { 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3 }, Example(source, "features", 2));
        Assert.AreEqual("i8", Column(source, "features").ElementNames[1]);
    }

    [TestMethod]
    public void LabelsAndCategories_AreThoseOfTheCsvSource()
    {
        using var folder = new TemporaryFolder();
        ParquetFile(folder["a.parquet"], 2, Column<float>("width", [1.5f, -20], [3]), Column("colour", ["red", "blue"], ["red"]),
            Column("species", ["setosa", "virginica"], ["setosa"]), Column<long>("count", [2, 0], [1]),
            Column<double>("price", [2, 0.5], [1]), Column<bool>("sold", [true, false], [true]));
        File.WriteAllText(folder["a.csv"],
            "width,colour,species,count,price,sold\n1.5,red,setosa,2,2,1\n-20,blue,virginica,0,0.5,0\n3,red,setosa,1,1,1\n");
        foreach (string label in new[] { "species", "count", "price", "sold" })
        {
            using TableSource table = TableSource.FromParquet(folder["a.parquet"],
                new TableOptions { Label = label, Features = ["width", "colour"], Categorical = ["colour"] });
            using DataSource csv = DataSource.FromCsv(folder["a.csv"],
                new CsvOptions { Label = label, Features = ["width", "colour"], Categorical = ["colour"] });
            Assert.AreEqual(Column(csv, "label").ToString(), Column(table, "label").ToString());
            CollectionAssert.AreEqual(Column(csv, "label").ClassNames, Column(table, "label").ClassNames, label);
            for (int row = 0; row < 3; row++)
            {
                CollectionAssert.AreEqual(Example(csv, "label", row), Example(table, "label", row), label);
                CollectionAssert.AreEqual(Example(csv, "features", row), Example(table, "features", row), label);
            }
        }
    }

    [TestMethod]
    public void ItsOptions_ReadAnotherTableAlike()
    {
        using var folder = new TemporaryFolder();
        TableOptions options = new() { Label = "l", Categorical = ["c"] };
        using TableSource first = TableSource.FromParquet(
            ParquetFile(folder["a.parquet"], 1, Column("c", ["a", "b"]), Column<float>("x", [1f, 2]), Column("l", ["no", "yes"])), options);
        using TableSource second = TableSource.FromParquet(
            ParquetFile(folder["b.parquet"], 1, Column("l", ["yes"]), Column<float>("x", [3f]), Column("c", ["b"])), first.Options);
        CollectionAssert.AreEqual(new double[] { 1, 3 }, Example(second, "features", 0));
        CollectionAssert.AreEqual(new double[] { 1 }, Example(second, "label", 0));
        Refused<DataFileException>(() => TableSource.FromParquet(
            ParquetFile(folder["c.parquet"], 1, Column("l", ["yes"]), Column<float>("x", [3f]), Column("c", ["d"])), first.Options),
            "row 1, column 'c': 'd' is none of the categories a, b");
        Refused<DataFileException>(() => TableSource.FromParquet(
            ParquetFile(folder["d.parquet"], 1, Column("l", ["perhaps"]), Column<float>("x", [3f]), Column("c", ["a"])), first.Options),
            "'perhaps' in row 1 is none of the classes no, yes");
    }

    [TestMethod]
    public void Lists_AreColumnsOfTheirOwn_PaddedWhereTheirLengthsDiffer()
    {
        using var folder = new TemporaryFolder();
        ParquetFile(folder["a.parquet"], 2, Column<float>("x", [1f, 2], [3]), Lists<byte>("image", [[1, 2], [3, 4]], [[5, 6]]),
            Lists<int>("tokens", [[7, 8, 9], []], [[10]]), Lists<long>("tags", [[1, 2, 3], []], [[4]]));
        using TableSource source = TableSource.FromParquet(folder["a.parquet"], new TableOptions { Label = "tags" });
        Assert.AreEqual("'features' Float[1]; 'image' UInt8[2]; 'tokens' Int32[3]; 'label' Int64[3]", string.Join("; ", source.Columns));
        CollectionAssert.AreEqual(new double[] { 5, 6 }, Example(source, "image", 2));
        CollectionAssert.AreEqual(new double[] { 10, 0, 0 }, Example(source, "tokens", 2));
        CollectionAssert.AreEqual(new double[] { 0, 0, 0 }, Example(source, "tokens", 1));
        CollectionAssert.AreEqual(new double[] { 4, -100, -100 }, Example(source, "label", 2));
        Assert.AreEqual(0, Column(source, "tokens").PaddedAxis);
        Assert.IsNull(Column(source, "image").PaddedAxis);
        CollectionAssert.AreEqual(new[] { 3, 0, 1 }, new[] { source.LengthOf(0), source.LengthOf(1), source.LengthOf(2) });
    }

    [TestMethod]
    public void WhatIsMissing_IsNamed_OrReplaced()
    {
        using var folder = new TemporaryFolder();
        ParquetFile(folder["a.parquet"], 2, Column<int>("n", [1, null], [3]), Column<double>("d", [double.NaN, 2], [3]),
            Lists<float>("v", [[1, null], [3, 4]], [[5, 6]]));
        Refused<DataFileException>(() => TableSource.FromParquet(folder["a.parquet"]), folder["a.parquet"],
            "row 2, column 'n': the value is missing (MissingValue would stand for it)", "row 1, column 'd': the value is missing",
            "row 1, column 'v': element 2: the value is missing");
        using TableSource source = TableSource.FromParquet(folder["a.parquet"], new TableOptions { MissingValue = -1 });
        CollectionAssert.AreEqual(new double[] { 1, -1 }, Example(source, "features", 0));
        CollectionAssert.AreEqual(new double[] { -1, 2 }, Example(source, "features", 1));
        CollectionAssert.AreEqual(new double[] { 1, -1 }, Example(source, "v", 0));
        Refused<DataFileException>(() => TableSource.FromParquet(folder["a.parquet"],
            new TableOptions { Label = "n", MissingValue = 0 }), "row 2, column 'n': the label is missing");
        ParquetFile(folder["b.parquet"], 1, Column<double>("d", [1e300, double.PositiveInfinity]), Column("t", ["a", null]),
            Lists<int>("v", [[1], null]), Lists<float>("w", [[1], [float.NegativeInfinity]]));
        Refused<DataFileException>(() => TableSource.FromParquet(folder["b.parquet"],
            new TableOptions { Label = "t", MissingValue = 0 }), "row 1, column 'd': expected a finite number of float32",
            "row 2, column 'd'", "row 2, column 't': the label is missing", "row 2, column 'v': the list is missing",
            "row 2, column 'w': element 1: expected a finite number");
    }

    [TestMethod]
    public void WhatNoNumberIsMadeOf_IsNamed_AllAtOnce()
    {
        using var folder = new TemporaryFolder();
        ParquetFile(folder["a.parquet"], 1, Column<float>("x", [1f]), Column("text", ["a"]),
            (new DateTimeDataField("when", DateTimeFormat.DateAndTime),
                (w, f, _) => w.WriteAsync<DateTime>(f, new[] { DateTime.UnixEpoch })),
            (new DataField<byte[]>("bytes"), (w, f, _) => w.WriteAsync(f, new byte[][] { [1] })),
            (new DataField<Guid>("id"), (w, f, _) => w.WriteAsync<Guid>(f, new[] { Guid.Empty })));
        Refused<DataFileException>(() => TableSource.FromParquet(folder["a.parquet"]), "column 'when' has dates or times",
            "column 'bytes' has bytes", "column 'id' has values of type Guid", "column 'text' has texts; list it as Categorical");
        using TableSource chosen = TableSource.FromParquet(folder["a.parquet"], new TableOptions { Features = ["x"] });
        CollectionAssert.AreEqual(new double[] { 1 }, Example(chosen, "features", 0));
        Refused<DataFileException>(() => TableSource.FromParquet(folder["a.parquet"], new TableOptions { Label = "y", Features = ["z"] }),
            "there is no column 'z', 'y'; there are 'x', 'text', 'when', 'bytes', 'id'");
    }

    [TestMethod]
    public void FilesThatAreNone_EndInAnErrorThatNamesThem()
    {
        using var folder = new TemporaryFolder();
        Refused<FileAccessException>(() => TableSource.FromParquet(folder["missing.parquet"]), folder["missing.parquet"]);
        foreach ((string name, byte[] bytes, string part) in new[]
        {
            ("empty.parquet", Array.Empty<byte>(), "is not a Parquet file, or is damaged"),
            ("short.parquet", "PAR1"u8.ToArray(), "damaged"),
            ("text.parquet", "a,b\n1,2\n3,4\n5,6\n"u8.ToArray(), "damaged"), ("secret.parquet", "PARE0000PARE"u8.ToArray(), "encrypted"),
            ("arrow.parquet", "ARROW1\0\0"u8.ToArray(), "it is an Arrow file"),
        })
        {
            File.WriteAllBytes(folder[name], bytes);
            Refused<DataFileException>(() => TableSource.FromParquet(folder[name]), folder[name], part);
        }
        ParquetFile(folder["none.parquet"], 1, Column<float>("x", [[]]));
        Refused<DataFileException>(() => TableSource.FromParquet(folder["none.parquet"]), "there is no row");
        byte[] good = File.ReadAllBytes(ParquetFile(folder["a.parquet"], 1, Column<float>("x", [1f, 2, 3])));
        for (int length = 0; length < good.Length; length++)
        {
            File.WriteAllBytes(folder["cut.parquet"], good[..length]);
            Refused<DataFileException>(() => TableSource.FromParquet(folder["cut.parquet"]), folder["cut.parquet"]);
        }
    }
}
