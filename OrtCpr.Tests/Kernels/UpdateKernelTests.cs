using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.Tests.Kernels;

[TestClass]
public sealed class UpdateKernelTests
{
    /// <summary>Around every vector boundary, and beyond one block of 1024.</summary>
    private static readonly int[] ShortLengths = [.. Enumerable.Range(0, 68), 1000, 1025];

    /// <summary>Ten chunks, the last of 2,547 elements: its last block and last vector are not full.</summary>
    private const int SeveralChunks = 150_003;

    /// <summary>Sixty-two chunks.</summary>
    private const int ManyChunks = 1_000_003;

    private static IEnumerable<UpdateVariant> OnePerBound =>
        UpdateVariant.All.Where(variant => variant is { Regularizer: not null, Base.Name: "AdamW", AmsGrad: true, Adaptive: false });

    [TestMethod]
    public void EveryVariant_FollowsTheSpecification_AtEveryLengthAroundAVectorBoundary()
    {
        foreach (UpdateVariant variant in UpdateVariant.All)
        {
            foreach (int length in ShortLengths)
                AssertFollowsReference(new(variant, length), default);
        }
    }

    [TestMethod]
    public void EveryBound_FollowsTheSpecification_OnManyChunks()
    {
        foreach (UpdateVariant variant in OnePerBound)
            AssertFollowsReference(new(variant, variant.Method == BoundKind.Dependent ? ManyChunks : SeveralChunks), TwoThreads.Loop);
    }

    [TestMethod]
    public void StandardDeviation_FollowsTheSpecification_FarFromZero()
    {
        foreach (UpdateVariant variant in UpdateVariant.All.Where(variant => variant.Regularizer == Regularizer.Std))
        {
            foreach (int length in new[] { 2, 3, 64, 1000, 50_001 })
                AssertFollowsReference(new(variant, length, middle: 10, width: 0.17f), default);
        }
    }

    [TestMethod]
    public void EveryVariant_GivesTheSameBits_OnOneThreadAndTwo_InPlaceAndNot()
    {
        const int length = (5 * Chunks.Length) + 77;
        foreach (UpdateVariant variant in UpdateVariant.All)
        {
            UpdateScenario scenario = new(variant, length);
            KernelRun alone = new(scenario, inPlace: true);
            KernelRun together = new(scenario, inPlace: true);
            KernelRun apart = new(scenario, inPlace: false);
            for (int t = 1; t <= UpdateScenario.Steps; t++)
            {
                alone.Step(t, default);
                together.Step(t, TwoThreads.Loop);
                apart.Step(t, TwoThreads.Loop);
                AssertSameBits(alone, together, $"{variant.Name}, two threads");
                AssertSameBits(alone, apart, $"{variant.Name}, not in place");
            }
        }
    }

    [TestMethod]
    public void Lambda_BecomesPositive_InEveryConstrainedScenario()
    {
        foreach (UpdateVariant variant in OnePerBound)
        {
            ReferenceUpdate reference = new(new(variant, 100));
            double largest = 0;
            for (int t = 1; t <= UpdateScenario.Steps; t++)
            {
                reference.Step(t);
                largest = Math.Max(largest, reference.Lambda);
            }
            Assert.IsGreaterThan(0, largest, variant.Name);
        }
    }

    [TestMethod]
    public void Parameter_StaysWhereAdamPutsIt_WhileLambdaIsZero()
    {
        UpdateVariant constrained = UpdateVariant.All.First(variant => variant.Method == BoundKind.WarmStart);
        KernelRun plain = new(new(constrained with { Regularizer = null, Method = null }, 100), inPlace: true);
        KernelRun waiting = new(new(constrained, 100), inPlace: true);
        for (int t = 1; t <= UpdateScenario.WarmStartSteps; t++)
        {
            plain.Step(t, default);
            waiting.Step(t, default);
        }
        CollectionAssert.AreEqual(plain.State[0], waiting.State[0]);
        Assert.IsTrue(waiting.Constraint.IsSet);
        Assert.AreEqual(0, waiting.Constraint.Lambda);
    }

    [TestMethod]
    public void Step_AllocatesNothing_OnTheManagedHeap()
    {
        UpdateVariant variant = OnePerBound.First(variant => variant.Regularizer == Regularizer.Std);
        UpdateScenario scenario = new(variant, (PartialSums.StackChunks + 1) * Chunks.Length);
        KernelRun run = new(scenario, inPlace: true);
        run.Step(1, default);
        // The runtime itself allocates a little on this thread while it recompiles a method, so the least of some steps counts.
        long least = long.MaxValue;
        for (int t = 2; t <= 6; t++)
        {
            _ = scenario.Gradient(t);
            long before = GC.GetAllocatedBytesForCurrentThread();
            run.Step(t, default);
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        Assert.AreEqual(0, least);
    }

    private static void AssertFollowsReference(UpdateScenario scenario, ParallelLoop loop)
    {
        ReferenceUpdate expected = new(scenario);
        KernelRun actual = new(scenario, inPlace: true);
        for (int t = 1; t <= UpdateScenario.Steps; t++)
        {
            expected.Step(t);
            actual.Step(t, loop);
            Close.AssertState(expected, actual.State, actual.Constraint, scenario, t);
        }
    }

    private static void AssertSameBits(KernelRun expected, KernelRun actual, string what)
    {
        for (int i = 0; i < expected.State.Length; i++)
            Assert.IsTrue(expected.State[i].AsSpan().SequenceEqual(actual.State[i]), what);
        Assert.AreEqual(expected.Constraint, actual.Constraint, what);
    }
}
