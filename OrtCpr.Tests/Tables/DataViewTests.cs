using Microsoft.ML;
using Microsoft.ML.Data;
using OrtCpr.Data;
using OrtCpr.Tables;
using static OrtCpr.Tests.Tables.TableWriting;

namespace OrtCpr.Tests.Tables;

// ML.NET's data views: each type, keys, vectors, and what is wrong.
[TestClass]
public sealed class DataViewTests
{
    private sealed class Numbers
    {
        public bool Bool { get; set; }
        public sbyte I8 { get; set; }
        public byte U8 { get; set; }
        public short I16 { get; set; }
        public ushort U16 { get; set; }
        public int I32 { get; set; }
        public uint U32 { get; set; }
        public long I64 { get; set; }
        public ulong U64 { get; set; }
        public float F32 { get; set; }
        public double F64 { get; set; }
    }

    private sealed class Flower
    {
        public float Width { get; set; }
        public string Species { get; set; } = "";
        [VectorType(2, 3)]
        public float[] Image { get; set; } = [];
        public int[] Tokens { get; set; } = [];
        public DateTime When { get; set; }
    }

    private static readonly Flower[] Flowers =
    [
        new() { Width = 1.5f, Species = "setosa", Image = [1, 2, 3, 4, 5, 6], Tokens = [7, 8, 9] },
        new() { Width = float.NaN, Species = "virginica", Image = [0, 0, 3, 0, 0, 0], Tokens = [1] },
        new() { Width = 3, Species = "setosa", Image = [1, 1, 1, 1, 1, 1], Tokens = [2, 3] },
    ];

    [TestMethod]
    public void EveryNumber_BecomesAFeature()
    {
        IDataView view = new MLContext(1).Data.LoadFromEnumerable<Numbers>([new()
        {
            Bool = true, I8 = -1, U8 = 250, I16 = -300, U16 = 65000, I32 = -70000, U32 = 4000000000, I64 = -5000000000,
            U64 = 10000000000000000000, F32 = 0.1f, F64 = 0.5,
        }]);
        using TableSource source = TableSource.FromDataView(view);
        CollectionAssert.AreEqual(new[]
        {
            1, -1, 250, -300, 65000, -70000, 4000000000f, -5000000000f, 10000000000000000000f, 0.1f, 0.5f,
        }.Select(v => (double)v).ToArray(), Example(source, "features", 0));
    }

    [TestMethod]
    public void VectorsKeysAndTexts()
    {
        var context = new MLContext(1);
        IDataView view = context.Data.LoadFromEnumerable(Flowers);
        IDataView keyed = context.Transforms.Conversion.MapValueToKey("Label", "Species",
            keyOrdinality: Microsoft.ML.Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue).Fit(view).Transform(view);
        TableOptions options = new() { Label = "Label", Features = ["Width", "Image", "Tokens"], MissingValue = 0 };
        using TableSource source = TableSource.FromDataView(keyed, options);
        Assert.AreEqual("'features' Float[1]; 'Image' Float[2,3]; 'Tokens' Int32[3]; 'label' Int64[]", string.Join("; ", source.Columns));
        CollectionAssert.AreEqual(new[] { "setosa", "virginica" }, Column(source, "label").ClassNames);
        CollectionAssert.AreEqual(new double[] { 1 }, Example(source, "label", 1));
        CollectionAssert.AreEqual(new double[] { 0 }, Example(source, "features", 1));
        CollectionAssert.AreEqual(new double[] { 0, 0, 3, 0, 0, 0 }, Example(source, "Image", 1));
        CollectionAssert.AreEqual(new double[] { 2, 3, 0 }, Example(source, "Tokens", 2));
        using TableSource other = TableSource.FromDataView(keyed, options with { Classes = ["virginica", "setosa"] });
        CollectionAssert.AreEqual(new double[] { 0 }, Example(other, "label", 1));
        using TableSource texts = TableSource.FromDataView(view, options with { Label = "Species" });
        CollectionAssert.AreEqual(new double[] { 1 }, Example(texts, "label", 1));
    }

    [TestMethod]
    public void SparseVectors_AndMoreRowsThanAPart()
    {
        var context = new MLContext(1);
        IDataView view = context.Data.LoadFromEnumerable(Enumerable.Range(0, 40_000).Select(i => new Flower { Species = $"s{i % 4}" }));
        IDataView sparse = context.Transforms.Categorical.OneHotEncoding("Hot", "Species").Fit(view).Transform(view);
        using TableSource source = TableSource.FromDataView(sparse, new TableOptions { Features = ["Hot"] });
        Assert.AreEqual(40_000, source.Count);
        CollectionAssert.AreEqual(new double[] { 0, 0, 1, 0 }, Example(source, "Hot", 39_998));
    }

    [TestMethod]
    public void WhatIsWrong_IsNamed()
    {
        IDataView view = new MLContext(1).Data.LoadFromEnumerable(Flowers);
        Refused<DataFileException>(() => TableSource.FromDataView(view, new TableOptions { Features = ["When", "Species"] }),
            "the data view: column 'When' has values of type DateTime", "column 'Species' has texts");
        Refused<DataFileException>(() => TableSource.FromDataView(view, new TableOptions { Features = ["Width"] }),
            "row 2, column 'Width': the value is missing");
        Refused<DataFileException>(() => TableSource.FromDataView(view, new TableOptions { Label = "Kind" }), "there is no column 'Kind'");
        Refused<DataFileException>(() => TableSource.FromDataView(new MLContext(1).Data.LoadFromEnumerable(System.Array.Empty<Numbers>())),
            "there is no row");
    }
}
