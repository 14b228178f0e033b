using OrtCpr.Graph;

namespace OrtCpr.Tests.Driver;

// A batch that does not fit names the input, what was expected and what was found, and nothing has changed.
[TestClass]
public sealed class BatchTests
{
    private static string Refusal(Batch batch)
    {
        using TrainingDriver driver = new(TrainingGraphBuilder.Build(TestModels.Linear()), new DriverOptions { Threads = 1 });
        byte[] before = driver.GetParameter("weight").Bytes.ToArray();
        DriverException error = Assert.ThrowsExactly<DriverException>(() => driver.TrainStep(batch));
        CollectionAssert.AreEqual(before, driver.GetParameter("weight").Bytes.ToArray());
        Assert.AreEqual(0, driver.AccumulatedSteps);
        batch.Dispose();
        return error.Message;
    }

    [TestMethod]
    public void MissingEntry_IsNamed() =>
        StringAssert.Contains(Refusal(new Batch().Add("x", new float[8], 2, 4)), "'labels' Int64[batch] is missing");

    [TestMethod]
    public void WrongType_IsNamed() =>
        StringAssert.Contains(Refusal(new Batch().Add("x", new double[8], 2, 4).Add("labels", new long[2], 2)),
        "expected 'x' Float[batch,4], found Double[2,4]");

    [TestMethod]
    public void WrongFixedDimension_IsNamed() =>
        StringAssert.Contains(Refusal(new Batch().Add("x", new float[10], 2, 5).Add("labels", new long[2], 2)), "dimension 1 must be 4");

    [TestMethod]
    public void WrongRank_IsNamed() =>
        StringAssert.Contains(Refusal(new Batch().Add("x", new float[8], 8).Add("labels", new long[2], 2)), "found Float[8]");

    [TestMethod]
    public void UnequalSymbol_IsNamed() =>
        StringAssert.Contains(Refusal(new Batch().Add("x", new float[8], 2, 4).Add("labels", new long[3], 3)), "'batch' is 2 in 'x'");

    [TestMethod]
    public void UnknownEntry_IsNamed_WithTheKnownOnes()
    {
        string message = Refusal(new Batch().Add("x", new float[8], 2, 4).Add("labels", new long[2], 2).Add("mask", new float[1], 1));
        StringAssert.Contains(message, "'mask' is not an input");
        StringAssert.Contains(message, "'x' Float[batch,4]");
    }

    [TestMethod]
    public void AllProblems_ComeAtOnce()
    {
        string message = Refusal(new Batch().Add("x", new double[8], 2, 4).Add("mask", new float[1], 1));
        StringAssert.Contains(message, "'x'");
        StringAssert.Contains(message, "'labels'");
        StringAssert.Contains(message, "'mask'");
    }

    [TestMethod]
    public void ShapeAndElements_MustAgree() => Assert.ThrowsExactly<DriverException>(() => new Batch().Add("x", new float[7], 2, 4));

    [TestMethod]
    public void LabelBeyondTheClasses_IsAnError_NotACrash()
    {
        using TrainingDriver driver = new(TrainingGraphBuilder.Build(TestModels.Linear()), new DriverOptions { Threads = 1 });
        using Batch batch = new Batch().Add("x", new float[8], 2, 4).Add("labels", new long[] { 0, 99 }, 2);
        DriverException error = Assert.ThrowsExactly<DriverException>(() => driver.TrainStep(batch));
        StringAssert.Contains(error.Message, "training graph");
    }
}
