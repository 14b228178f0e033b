using Grokking;
using OrtCpr.Data;

namespace OrtCpr.Tests.Samples;

[TestClass]
public sealed class ModularAdditionTests
{
    [TestMethod]
    public void Labels_AreTheSumsOfTheTokens()
    {
        var task = new ModularAddition(113, StartingPoint.Drawn(113, 0.3, 1).TrainingPairs);
        Assert.AreEqual((3830, 8939), (task.Training.Count, task.Validation.Count));
        var pairs = new HashSet<(long, long)>();
        foreach (Examples examples in new[] { task.Training, task.Validation })
        {
            for (int i = 0; i < examples.Count; i++)
            {
                long x = examples.Tokens[3 * i], y = examples.Tokens[(3 * i) + 1];
                Assert.AreEqual(113, examples.Tokens[(3 * i) + 2]);
                Assert.AreEqual((x + y) % 113, examples.Labels[i]);
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
        foreach (int epoch in new[] { 1, 10, 11 }) CollectionAssert.AreEqual(Enumerable.Range(0, 3830).ToArray(), start.Order(epoch).Order().ToArray());
    }

    [TestMethod]
    public void Batches_HoldTheRowsOfTheOrder()
    {
        var examples = new Examples(5, [7, 12, 24]);
        using var batches = new TrainingBatches(examples, 2);
        Assert.AreEqual(2, batches.Count);
        CollectionAssert.AreEqual(new long[] { 4, 4, 5, 1, 2, 5 }, batches.Fill([2, 0, 1], 0).Tensors["tokens"].GetTensorDataAsSpan<long>().ToArray());
        CollectionAssert.AreEqual(new long[] { 2, 2, 5 }, batches.Fill([2, 0, 1], 1).Tensors["tokens"].GetTensorDataAsSpan<long>().ToArray());
        CollectionAssert.AreEqual(new long[] { 4 }, batches.Fill([2, 0, 1], 1).Tensors["labels"].GetTensorDataAsSpan<long>().ToArray());
    }
}
