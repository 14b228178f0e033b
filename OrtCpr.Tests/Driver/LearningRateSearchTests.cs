using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Schedules;

namespace OrtCpr.Tests.Driver;

/// <summary>A search for a learning rate leaves no trace, and finds the rates at which the loss falls.</summary>
[TestClass]
public sealed class LearningRateSearchTests
{
    [TestMethod]
    public void TheDriver_IsAsItWas()
    {
        using TrainingDriver searched = FitTests.Create(), plain = FitTests.Create();
        using var folder = new TemporaryFolder();
        var files = new List<byte[]>();
        foreach (TrainingDriver driver in new[] { searched, plain })
        {
            driver.SetSchedule(Schedule.Linear(40, 2));
            new Trainer(driver).Fit(FitTests.Epochs);
        }
        LearningRateCurve curve = new LearningRateSearch { Steps = 30 }.Run(searched, FitTests.Epochs);
        Assert.HasCount(30, curve.Points);
        foreach (TrainingDriver driver in new[] { searched, plain })
        {
            new Trainer(driver).Fit(FitTests.Epochs);
            string path = Path.Combine(folder.FolderPath, $"{files.Count}.safetensors");
            TrainingCheckpoint.Save(driver, path);
            files.Add(File.ReadAllBytes(path));
        }
        CollectionAssert.AreEqual(files[1], files[0]);
    }

    [TestMethod]
    public void Rates_GrowEvenly_AndTheSuggestionIsWhereTheLossFalls()
    {
        using TrainingDriver driver = FitTests.Create();
        var search = new LearningRateSearch { From = 1e-5, To = 10, Steps = 61 };
        // One batch again and again: its loss falls for certain.
        LearningRateCurve curve = search.Run(driver, BatchSource.From(_ => [TestModels.Batch(8, seed: 1)]));
        Assert.AreEqual(1e-5, curve.Points[0].Rate, 1e-12);
        Assert.AreEqual(Math.Pow(10, 0.1), curve.Points[8].Rate / curve.Points[7].Rate, 1e-9);
        Assert.IsLessThanOrEqualTo(10 * (1 + 1e-9), curve.Points[^1].Rate);
        Assert.IsNotNull(curve.Suggestion);
        Assert.IsTrue(curve.Suggestion is > 1e-3 and < 1, $"{curve.Suggestion}");
    }

    // Losses that fall from 2 to 1 at a rate of 10.
    [TestMethod]
    public void TheSuggestion_IsBelowTheLeastLoss_AndNullWhereNothingFalls()
    {
        LearningRatePoint At(int i, double loss) => new(Math.Pow(10, i), loss, loss);
        var falls = new LearningRateCurve([.. Enumerable.Range(-10, 20).Select(i => At(i, i <= 0 ? 2 : 1))]);
        Assert.AreEqual(1, falls.Suggestion);
        Assert.IsNull(new LearningRateCurve([.. Enumerable.Range(-10, 20).Select(i => At(i, i))]).Suggestion);
        Assert.IsNull(new LearningRateCurve([At(0, 2), At(1, 1)]).Suggestion);
    }

    [TestMethod]
    public void Options_AreChecked_AllAtOnce_AndABatchThatDoesNotFitLeavesNoTrace()
    {
        using TrainingDriver driver = FitTests.Create();
        OptionException error = Assert.ThrowsExactly<OptionException>(() =>
            new LearningRateSearch { From = 0, To = -1, Steps = 3, Smoothing = 1, StopAt = 1 }.Run(driver, FitTests.Epochs));
        foreach (string name in new[] { "From", "To", "Steps", "Smoothing", "StopAt" }) StringAssert.Contains(error.Message, name);
        byte[] before = driver.ToBuffer().Bytes.ToArray();
        Assert.ThrowsExactly<DriverException>(() =>
            new LearningRateSearch().Run(driver, BatchSource.From(e => FitTests.Batches(e).Take(2).Append(new Batch()))));
        CollectionAssert.AreEqual(before, driver.ToBuffer().Bytes.ToArray());
        Assert.ThrowsExactly<DriverException>(() => new LearningRateSearch().Run(driver, BatchSource.From(_ => [])));
    }
}
