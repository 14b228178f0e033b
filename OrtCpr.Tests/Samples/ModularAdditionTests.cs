using Grokking;
using OrtCpr.Data;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Samples;

[TestClass]
public sealed class ModularAdditionTests
{
    [TestMethod]
    public void Labels_AreTheSumsOfTheTokens()
    {
        int[] trained = StartingPoint.Drawn(113, 0.3, 1).TrainingPairs, rest = ModularAddition.Rest(113, trained);
        Assert.AreEqual((3830, 8939), (trained.Length, rest.Length));
        var pairs = new HashSet<(long, long)>();
        foreach (int[] part in new[] { trained, rest })
        {
            using DataSource examples = ModularAddition.Examples(113, part);
            using Batch batch = new DataLoader(examples,
                [new() { Name = "tokens", Type = ElementType.Int64, Dimensions = ["batch", "3"] },
                    new() { Name = "labels", Type = ElementType.Int64, Dimensions = ["batch"], IsLabel = true }],
                new DataLoaderOptions { BatchSize = part.Length, Shuffle = false, Prefetch = 0 }).Batches().Single();
            long[] tokens = batch.Tensors["tokens"].GetTensorDataAsSpan<long>().ToArray(),
                labels = batch.Tensors["labels"].GetTensorDataAsSpan<long>().ToArray();
            for (int i = 0; i < part.Length; i++)
            {
                long x = tokens[3 * i], y = tokens[(3 * i) + 1];
                Assert.AreEqual(113, tokens[(3 * i) + 2]);
                Assert.AreEqual((x + y) % 113, labels[i]);
                Assert.IsTrue(x is >= 0 and < 113 && y is >= 0 and < 113 && pairs.Add((x, y)));
            }
        }
        Assert.HasCount(113 * 113, pairs);
    }

    // The numbers were computed by a second implementation, in Python.
    [TestMethod]
    public void SplitsAndShuffles_NeverChange()
    {
        StartingPoint start = StartingPoint.Drawn(113, 0.3, 1);
        Assert.AreEqual("4823 4514 6088 190 5682 6607", string.Join(' ', start.TrainingPairs.Take(6)));
        Assert.AreEqual("728 2341 1592 219 1511 3090", string.Join(' ', start.Order(1).Take(6)));
        Assert.AreEqual("1386 2379 58 1251 2969 1579", string.Join(' ', start.Order(2).Take(6)));
        Assert.AreEqual("5470 8889 483 6065 10974 4823", string.Join(' ', StartingPoint.Drawn(113, 0.3, 2).TrainingPairs.Take(6)));
        CollectionAssert.AreEqual(Enumerable.Range(0, 3830).ToArray(), start.Order(7).Order().ToArray());
    }

    [TestMethod]
    public void Below_IsEven()
    {
        SplitMix64 random = SplitMix64.For(5, 0);
        int[] counts = new int[3];
        for (int i = 0; i < 30_000; i++) counts[random.Below(3)]++;
        foreach (int count in counts) Assert.AreEqual(10_000.0, count, 400);
    }

    [TestMethod]
    public void ReferenceStart_HasTheSplitTheShufflesAndTheWeightsOfThePyTorchRuns()
    {
        StartingPoint start = StartingPoint.Reference(Path.Combine(AppContext.BaseDirectory, "reference", "split.safetensors"), 2);
        Assert.HasCount(3830, start.TrainingPairs.Distinct().ToArray());
        Assert.HasCount(9, start.Weights);
        foreach (int epoch in new[] { 1, 10, 11 })
        {
            CollectionAssert.AreEqual(Enumerable.Range(0, 3830).ToArray(), start.Order(epoch).Order().ToArray());
        }
    }
}
