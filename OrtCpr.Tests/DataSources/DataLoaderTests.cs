using System.Collections.Immutable;
using OrtCpr.Data;
using OrtCpr.Devices;
using OrtCpr.Graph;

namespace OrtCpr.Tests.DataSources;

[TestClass]
public sealed class DataLoaderTests
{
    private static readonly BatchInput[] Inputs =
    [
        new() { Name = "x", Type = ElementType.Float, Dimensions = ["batch", "2"] },
        new() { Name = "labels", Type = ElementType.Int64, Dimensions = ["batch"], IsLabel = true },
    ];

    private static DataSource Source(int count) => DataSource.FromTensors(new Dictionary<string, TensorData>
    {
        ["x"] = TensorData.From<float>([.. Enumerable.Range(0, 2 * count).Select(i => (float)i)], count, 2),
        ["labels"] = TensorData.From<long>([.. Enumerable.Range(0, count).Select(i => (long)i)], count),
    });

    private static long[] Labels(IEnumerable<Batch> batches)
    {
        var all = new List<long>();
        foreach (Batch batch in batches)
        {
            using (batch)
            {
                long[] labels = Device.ReadOnHost(batch.Tensors["labels"]).AsSpan<long>().ToArray();
                CollectionAssert.AreEqual(labels.SelectMany(l => new double[] { 2 * l, (2 * l) + 1 }).ToArray(),
                    Device.ReadOnHost(batch.Tensors["x"]).ToDoubles());
                all.AddRange(labels);
            }
        }
        return [.. all];
    }

    // States of recurrent layers, and inputs whose time comes first; the last batch is short.
    [TestMethod]
    public void Examples_GoToTheAxisOfTheBatch()
    {
        BatchInput[] inputs =
        [
            new() { Name = "x", Type = ElementType.Float, Dimensions = ["3", "n", "2"] },
            new() { Name = "state", Type = ElementType.Float, Dimensions = ["2", "n", "1"] },
            new() { Name = "zeros", Type = ElementType.Float, Dimensions = ["2", "n", "2"] },
            new() { Name = "labels", Type = ElementType.Int64, Dimensions = ["n"], IsLabel = true },
        ];
        using DataSource source = DataSource.FromTensors(new Dictionary<string, TensorData>
        {
            ["x"] = TensorData.From<float>([.. Enumerable.Range(0, 30).Select(i => (float)i)], 5, 3, 2),
            ["state"] = TensorData.From<int>([.. Enumerable.Range(0, 10)], 5, 2),
            ["labels"] = TensorData.From<long>([.. Enumerable.Range(0, 5).Select(i => (long)i)], 5),
        });
        var loader = new DataLoader(source, inputs, new DataLoaderOptions
        {
            BatchSize = 2,
            Shuffle = false,
            Constants = ImmutableDictionary<string, TensorData>.Empty.Add("zeros", TensorData.From<float>([1, 2, 3, 4], 2, 1, 2)),
        });
        int first = 0;
        foreach (Batch batch in loader.Batches())
        {
            using (batch)
            {
                int rows = Math.Min(2, 5 - first);
                Assert.AreEqual(rows, batch.Rows);
                int[] examples = [.. Enumerable.Range(first, rows)], times = [0, 1, 2], layers = [0, 1];
                CollectionAssert.AreEqual(
                    times.SelectMany(t => examples.SelectMany(e => new double[] { (e * 6) + (t * 2), (e * 6) + (t * 2) + 1 })).ToArray(),
                    Device.ReadOnHost(batch.Tensors["x"]).ToDoubles());
                CollectionAssert.AreEqual(layers.SelectMany(l => examples.Select(e => (double)((e * 2) + l))).ToArray(),
                    Device.ReadOnHost(batch.Tensors["state"]).ToDoubles());
                CollectionAssert.AreEqual(
                    layers.SelectMany(l => examples.SelectMany(_ => new double[] { (2 * l) + 1, (2 * l) + 2 })).ToArray(),
                    Device.ReadOnHost(batch.Tensors["zeros"]).ToDoubles());
                CollectionAssert.AreEqual(new long[] { 2, rows, 1 }, batch.Tensors["state"].GetTensorTypeAndShape().Shape);
                first += rows;
            }
        }
        Assert.AreEqual(5, first);
    }

    // The order of a published seed must never change.
    [TestMethod]
    public void Order_OfSeedAndEpoch_IsFixed()
    {
        var loader = new DataLoader(Source(10), Inputs, new DataLoaderOptions { BatchSize = 3, Seed = 1, Prefetch = 0 });
        Assert.AreEqual(4, loader.BatchCount);
        long[] first = Labels(loader.Batches(0)), second = Labels(loader.Batches(1));
        CollectionAssert.AreEqual(SplitMix64.For(1, 0).Permutation(10).Select(i => (long)i).ToArray(), first);
        CollectionAssert.AreNotEqual(first, second);
        CollectionAssert.AreEqual(Enumerable.Range(0, 10).Select(i => (long)i).ToArray(), first.Order().ToArray());
        CollectionAssert.AreEqual(Enumerable.Range(0, 9).Select(i => (long)i).ToArray(),
            Labels(new DataLoader(Source(10), Inputs, new DataLoaderOptions { BatchSize = 3, Shuffle = false, DropLast = true })
            .Batches()));
    }

    [TestMethod]
    public async Task PrefetchAndAsync_GiveTheSame_FromAnyBatchOn()
    {
        foreach (int prefetch in new[] { 0, 1, 3 })
        {
            var loader = new DataLoader(Source(50), Inputs, new DataLoaderOptions { BatchSize = 4, Seed = 3, Prefetch = prefetch });
            long[] all = Labels(loader.Batches(2));
            for (int skip = 0; skip <= loader.BatchCount; skip++)
            {
                CollectionAssert.AreEqual(all.Skip(4 * skip).ToArray(), Labels(loader.Batches(2, skip)));
            }
            var waited = new List<long>();
            await foreach (Batch batch in loader.BatchesAsync(2, 5)) waited.AddRange(Labels([batch]));
            CollectionAssert.AreEqual(all.Skip(20).ToArray(), waited);
        }
    }

    [TestMethod]
    public void Types_AndShapes_AreConverted()
    {
        var source = DataSource.FromTensors(new Dictionary<string, TensorData>
        {
            ["pixels"] = TensorData.From<byte>([0, 1, 2, 255, 4, 5, 6, 7], 2,
            4),
            ["class"] = TensorData.From<byte>([3, 200], 2)
        });
        BatchInput[] inputs =
        [
            new() { Name = "image", Type = ElementType.Float, Dimensions = ["n", "1", "2", "2"] },
            new() { Name = "labels", Type = ElementType.Int64, Dimensions = ["n"], IsLabel = true },
        ];
        var loader = new DataLoader(source, inputs,
            new DataLoaderOptions
            {
                Shuffle = false,
                Columns = new Dictionary<string, string> { ["labels"] = "class" }.ToImmutableDictionary(),
                Transforms = Transforms("pixels", Transform.Scale())
            });
        using Batch batch = loader.Batches().Single();
        TensorData image = Device.ReadOnHost(batch.Tensors["image"]);
        CollectionAssert.AreEqual(new long[] { 2, 1, 2, 2 }, image.Dimensions.ToArray());
        Assert.AreEqual(1f, image.AsSpan<float>()[3]);
        CollectionAssert.AreEqual(new long[] { 3, 200 }, Device.ReadOnHost(batch.Tensors["labels"]).AsSpan<long>().ToArray());
    }

    private static ImmutableDictionary<string, ImmutableArray<Transform>> Transforms(string column, params Transform[] transforms) =>
        new Dictionary<string, ImmutableArray<Transform>> { [column] = [.. transforms] }.ToImmutableDictionary();

    [TestMethod]
    public void WhatDoesNotFit_IsNamedAllAtOnce()
    {
        BatchInput[] inputs =
            [new() { Name = "x", Type = ElementType.Float, Dimensions = ["n", "3"] },
            new() { Name = "z", Type = ElementType.Float, Dimensions = ["n", "2"] },
            new() { Name = "labels", Type = ElementType.Float, Dimensions = ["n"], IsLabel = true }];
        string message = Assert.ThrowsExactly<DataFileException>(() => new DataLoader(Source(3), inputs)).Message;
        StringAssert.Contains(message, "does not have the shape of 'x'");
        StringAssert.Contains(message, "no column is input 'z'");
        Assert.ThrowsExactly<OptionException>(() => new DataLoader(Source(3), Inputs, new DataLoaderOptions { BatchSize = 0 }));
        Assert.ThrowsExactly<OptionException>(() =>
            new DataLoader(Source(3), Inputs, new DataLoaderOptions { Transforms = Transforms("x", Transform.RandomCrop()) }));
        StringAssert.Contains(Assert.ThrowsExactly<DataFileException>(() =>
            new DataLoader(Source(3), Inputs, new DataLoaderOptions { BatchSize = 4, DropLast = true })).Message, "no batch of 4");
    }

    // Fails at a row; counts what is read.
    private sealed class Failing(int at) : DataSource
    {
        public int Reads;

        public override long Count => 1000;

        public override IReadOnlyList<DataColumn> Columns => [new("x", ElementType.Float, [2]), new("labels", ElementType.Int64, [], true)];

        public override void Read(int column, long row, Span<byte> target)
        {
            Interlocked.Increment(ref Reads);
            if (row == at) throw new DataFileException("row is broken");
        }
    }

    [TestMethod]
    public void ErrorsOfTheBackground_ReachTheConsumer_BehindTheBatchesBefore()
    {
        var loader = new DataLoader(new Failing(5), Inputs, new DataLoaderOptions { BatchSize = 2, Shuffle = false, Prefetch = 4 });
        int got = 0;
        Assert.ThrowsExactly<DataFileException>(() =>
        {
            foreach (Batch batch in loader.Batches())
            {
                batch.Dispose();
                got++;
            }
        });
        Assert.AreEqual(2, got);
    }

    [TestMethod]
    public void LeavingEarly_StopsTheBackground()
    {
        var source = new Failing(-1);
        var loader = new DataLoader(source, Inputs, new DataLoaderOptions { BatchSize = 1, Shuffle = false, Prefetch = 2 });
        foreach (Batch batch in loader.Batches())
        {
            batch.Dispose();
            break;
        }
        int reads = source.Reads;
        Assert.IsLessThan(20, reads);
        Thread.Sleep(20);
        Assert.AreEqual(reads, source.Reads);
    }

    [TestMethod]
    public void BatchesHeldAtOnce_HaveMemoryOfTheirOwn()
    {
        var loader = new DataLoader(Source(9), Inputs, new DataLoaderOptions { BatchSize = 3, Shuffle = false });
        Batch[] held = [.. loader.Batches()];
        CollectionAssert.AreEqual(Enumerable.Range(0, 9).Select(i => (long)i).ToArray(), Labels(held));
    }

    [TestMethod]
    public void Fit_ByALoader_GoesOnInsideAnEpoch()
    {
        using var folder = new TemporaryFolder();
        var source = DataSource.FromTensors(new Dictionary<string, TensorData>
        {
            ["x"] = TensorData.From<float>(Functions.FunctionRun.Values(80, 1), 20, 4),
            ["labels"] = TensorData.From<long>([.. Enumerable.Range(0, 20).Select(i => i % 3L)], 20),
        });
        TrainingDriver Create() => new(TrainingGraphBuilder.Build(TestModels.Linear()), new DriverOptions { Threads = 1 });
        using TrainingDriver whole = Create(), first = Create(), second = Create();
        var loader = new DataLoader(source, whole.Plan.BatchInputs, new DataLoaderOptions { BatchSize = 3 });
        new Trainer(whole).Fit(loader, new FitOptions { Epochs = 2 });
        var checkpoint = new CheckpointOptions(folder.FolderPath) { Resume = true };
        new Trainer(first).Fit(loader, new FitOptions { Epochs = 2, MaxSteps = 10, Checkpoint = checkpoint });
        new Trainer(second).Fit(loader, new FitOptions { Epochs = 2, Checkpoint = checkpoint });
        CollectionAssert.AreEqual(whole.ToBuffer().ToDoubles(), second.ToBuffer().ToDoubles());
    }

    [TestMethod]
    public void AnOrderOfOnesOwn_IsTheOrderOfAnEpoch_AndIsChecked()
    {
        DataLoader Loader(Func<long, IReadOnlyList<int>> order) =>
            new(Source(4), Inputs, new DataLoaderOptions { BatchSize = 3, Order = order });
        CollectionAssert.AreEqual(new long[] { 3, 1, 1, 0 }, Labels(Loader(_ => [3, 1, 1, 0]).Batches()));
        CollectionAssert.AreEqual(new long[] { 2 }, Labels(Loader(epoch => [0, 0, 0, (int)epoch]).Batches(2, skip: 1)));
        StringAssert.Contains(Assert.ThrowsExactly<DataFileException>(() => Labels(Loader(_ => [1]).Batches())).Message,
            "epoch 0 has 1 examples; expected 4");
        StringAssert.Contains(Assert.ThrowsExactly<DataFileException>(() => Labels(Loader(_ => [0, 1, 2, 4]).Batches(5))).Message,
            "epoch 5 names example 4; expected 0 to 3");
    }

    [TestMethod]
    public void Split_IsWhole_AndTheSameForASeed()
    {
        (DataSource a, DataSource b) = Source(10).Split(0.8, 5);
        Assert.AreEqual((8L, 2L), (a.Count, b.Count));
        long[] all = [.. Labels(new DataLoader(a, Inputs, new DataLoaderOptions { Shuffle = false }).Batches()),
            .. Labels(new DataLoader(b, Inputs, new DataLoaderOptions { Shuffle = false }).Batches())];
        CollectionAssert.AreEqual(SplitMix64.For(5, -1).Permutation(10).Select(i => (long)i).ToArray(), all);
        Assert.ThrowsExactly<DataFileException>(() => Source(1).Split(0.5));
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => Source(4).Split(1.5)).Message,
            "1.5; expected a number above 0 and below 1");
    }
}
