using System.Collections.Immutable;
using OrtCpr.Data;
using OrtCpr.Devices;
using OrtCpr.Graph;

namespace OrtCpr.Tests.DataSources;

// What is made of the classes of a source.
[TestClass]
public sealed class ClassDataTests
{
    private static DataSource Source(params long[] labels) => DataSource.FromTensors(new Dictionary<string, TensorData>
    {
        ["x"] = TensorData.From<float>([.. Enumerable.Range(0, labels.Length).Select(i => (float)i)], labels.Length, 1),
        ["labels"] = TensorData.From<long>(labels, labels.Length),
    });

    // Columns of tensors are no labels, so they are named.
    private const string Label = "labels";

    private static long[] Repeated(params int[] counts) => [.. counts.SelectMany((n, c) => Enumerable.Repeat((long)c, n))];

    [TestMethod]
    public void Weights_ByTheirFormulas()
    {
        DataSource source = Source(Repeated(6, 3, 1));
        float[] inverse = [.. ClassWeights.InverseFrequency(source, label: Label)];
        for (int c = 0; c < 3; c++) Assert.AreEqual(10 / (3.0 * new[] { 6, 3, 1 }[c]), inverse[c], 1e-6);
        float[] effective = [.. ClassWeights.EffectiveNumber(source, 0.9, label: Label)];
        double[] raw = [0.1 / (1 - Math.Pow(0.9, 6)), 0.1 / (1 - Math.Pow(0.9, 3)), 1];
        for (int c = 0; c < 3; c++) Assert.AreEqual(raw[c] * 3 / raw.Sum(), effective[c], 1e-6);
        Assert.IsTrue(ClassWeights.EffectiveNumber(source, 0, label: Label).All(w => w == 1));
        StringAssert.Contains(Assert.ThrowsExactly<DataFileException>(() => ClassWeights.InverseFrequency(source, 5, Label)).Message,
            "no example of class 3, 4");
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => ClassWeights.InverseFrequency(source, 2, Label)).Message,
            "go from 0 to 2; expected 0 to 1");
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => ClassWeights.EffectiveNumber(source, 1, label: Label)).Message,
            "beta is 1");
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => ClassWeights.InverseFrequency(source, label: "x")).Message,
            "'x' is no column of whole numbers");
    }

    [TestMethod]
    public void BalancedOrder_HasEqualShares_AndUsesEveryExample()
    {
        long[] labels = Repeated(40, 7, 4);
        Func<long, IReadOnlyList<int>> order = ExampleOrder.Balanced(Source(labels), 3, Label);
        var seen = new HashSet<int>();
        int[] totals = new int[3];
        for (int epoch = 0; epoch < 3; epoch++)
        {
            int[] rows = [.. order(epoch)];
            Assert.HasCount(51, rows);
            int[] counts = [.. Enumerable.Range(0, 3).Select(c => rows.Count(r => labels[r] == c))];
            CollectionAssert.AreEqual(new[] { 17, 17, 17 }, counts);
            // Of the frequent class none twice before all came; of a rare one, all as often as the others but for two.
            if (epoch < 2) Assert.AreEqual(17, rows.Where(r => labels[r] == 0).Concat(seen).Distinct().Count() - seen.Count);
            int[] rare = [.. rows.Where(r => labels[r] == 2).GroupBy(r => r).Select(g => g.Count())];
            Assert.IsTrue(rare.Length == 4 && rare.Max() - rare.Min() <= 2, string.Join(' ', rare));
            seen.UnionWith(rows.Where(r => labels[r] == 0));
            CollectionAssert.AreEqual(rows, order(epoch).ToArray(), "deterministic");
        }
        Assert.HasCount(40, seen, "three epochs of 17 go through all 40");
        // Shares that do not come out even go round.
        Func<long, IReadOnlyList<int>> uneven = ExampleOrder.Balanced(Source(Repeated(5, 2)), 0, Label);
        for (int epoch = 0; epoch < 4; epoch++) totals[0] += uneven(epoch).Count(r => r < 5);
        Assert.AreEqual(14, totals[0]);
    }

    [TestMethod]
    public void SplitByClass_KeepsShares()
    {
        long[] labels = Repeated(50, 20, 2, 1);
        (DataSource first, DataSource second) = Source(labels).SplitByClass(0.8, 1, Label);
        CollectionAssert.AreEqual(new[] { 40, 16, 1, 1 }, Counts(first));
        CollectionAssert.AreEqual(new[] { 10, 4, 1, 0 }, Counts(second));
        CollectionAssert.AreEquivalent(Enumerable.Range(0, 73).ToArray(), Values(first).Concat(Values(second)).ToArray());
        CollectionAssert.AreEqual(Values(second), Values(Source(labels).SplitByClass(0.8, 1, Label).Second));
        CollectionAssert.AreNotEqual(Values(second), Values(Source(labels).SplitByClass(0.8, 2, Label).Second));
        Assert.ThrowsExactly<OptionException>(() => Source(labels).SplitByClass(1, 1, Label));
        Assert.ThrowsExactly<DataFileException>(() => Source(0, 1, 2).SplitByClass(0.5, 1, Label));

        int[] Counts(DataSource part) => [.. Enumerable.Range(0, 4).Select(c => Values(part).Count(v => labels[v] == c))];
    }

    private static int[] Values(DataSource source) => [.. Enumerable.Range(0, (int)source.Count).Select(r =>
    {
        byte[] bytes = new byte[4];
        source.Read(source.Columns[0].Name == "x" ? 0 : 1, r, bytes);
        return (int)BitConverter.ToSingle(bytes);
    })];

    private static readonly BatchInput[] Inputs =
    [
        new() { Name = "x", Type = ElementType.Float, Dimensions = ["batch", "1"] },
        new() { Name = "target", Type = ElementType.Float, Dimensions = ["batch", "3"], IsLabel = true },
    ];

    // A loss that takes probabilities gets 1 for the class; a class beyond its width is an error that names the example.
    [TestMethod]
    public void Classes_BecomeProbabilities_WhereALossTakesThem()
    {
        var columns = new DataLoaderOptions
        {
            Shuffle = false,
            Columns = ImmutableDictionary<string, string>.Empty.Add("target", "labels"),
        };
        using Batch batch = new DataLoader(Source(2, 0), Inputs, columns).Batches().First();
        CollectionAssert.AreEqual(new double[] { 0, 0, 1, 1, 0, 0 }, Device.ReadOnHost(batch.Tensors["target"]).ToDoubles());
        StringAssert.Contains(Assert.ThrowsExactly<DataFileException>(() =>
            new DataLoader(Source(0, 3), Inputs, columns).Batches().First()).Message, "Example 1 has label 3");
    }

    private sealed class Noise : Transform
    {
        public override void Apply(Span<float> example, IReadOnlyList<long> dimensions, SplitMix64 random) =>
            example[0] += (float)random.NextDouble() * 0.5f;
    }

    // An example that comes twice in an epoch is changed in two ways, of which the first is what it would be alone.
    [TestMethod]
    public void WhatComesTwice_IsChangedTwice_WithAnyNumberOfWorkers()
    {
        double[][] runs = [.. new[] { 1, 3 }.Select(workers =>
        {
            var options = new DataLoaderOptions
            {
                BatchSize = 2,
                Workers = workers,
                Order = _ => [1, 1, 0, 1],
                Columns = ImmutableDictionary<string, string>.Empty.Add("target", "labels"),
                Transforms = ImmutableDictionary<string, ImmutableArray<Transform>>
                    .Empty.Add("x", [new Noise()]),
            };
            var loader = new DataLoader(Source(0, 1, 2, 0), Inputs, options);
            var plain = new DataLoader(Source(0, 1, 2, 0), Inputs, options with { Order = null, Shuffle = false });
            double[] all = X(loader.Batches(4)), late = X(loader.Batches(4, 1)), once = X(plain.Batches(4));
            CollectionAssert.AreEqual(all[2..], late);
            Assert.AreEqual(once[1], all[0]);
            Assert.AreEqual(once[0], all[2]);
            Assert.AreEqual(3, new[] { all[0], all[1], all[3] }.Distinct().Count());
            return all;
        })];
        CollectionAssert.AreEqual(runs[0], runs[1]);
    }

    private static double[] X(IEnumerable<Batch> batches)
    {
        var all = new List<double>();
        foreach (Batch batch in batches)
        {
            using (batch) all.AddRange(Device.ReadOnHost(batch.Tensors["x"]).ToDoubles());
        }
        return [.. all];
    }

    private sealed class Failing(int row) : DataSource
    {
        public override long Count => 8;

        public override IReadOnlyList<DataColumn> Columns =>
            [new("x", ElementType.Float, [1]), new("target", ElementType.Float, [3], true)];

        public override void Read(int column, long example, Span<byte> target)
        {
            if (example >= row) throw new InvalidOperationException($"example {example}");
            target.Clear();
        }
    }

    [TestMethod]
    public void OfSeveralErrors_ThatOfTheFirstExampleIsThrown()
    {
        for (int i = 0; i < 20; i++)
        {
            Assert.AreEqual("example 3", Assert.ThrowsExactly<InvalidOperationException>(() => new DataLoader(new Failing(3), Inputs,
                new DataLoaderOptions { BatchSize = 8, Workers = 4, Shuffle = false }).Batches().First()).Message);
        }
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() =>
            new DataLoader(new Failing(9), Inputs, new DataLoaderOptions { Workers = -1 })).Message, "Workers is -1");
    }
}
