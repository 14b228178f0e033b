using System.Text.Json.Serialization;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Optimizers;

/// <summary>A job in a folder names its update links.</summary>
[TestClass]
public sealed class LinkNamesTests
{
    [TestMethod]
    public void EveryLink_HasANameInFiles()
    {
        Type[] named = [.. typeof(UpdateLink).GetCustomAttributes(typeof(JsonDerivedTypeAttribute), false)
            .Cast<JsonDerivedTypeAttribute>().Select(a => a.DerivedType)];
        Type[] links = [.. typeof(UpdateLink).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(UpdateLink)) && !t.IsAbstract)];
        CollectionAssert.AreEquivalent(links, named);
    }

    [TestMethod]
    public void AJobWithLion_ComesBackFromItsFolder()
    {
        using var folder = new TemporaryFolder();
        OptimizerOptions optimizer = new()
        {
            Groups = [new UpdateRule { LearningRate = 1e-3, Links = [new ScaleByLion { Beta1 = 0.8 }, new AddDecayedWeights(0.1)] }],
        };
        string model = Path.Combine(House.Repository.Root, "artifacts", "mlp.onnx");
        using Batch batch = new Batch().Add("x", new float[20], 2, 10).Add("labels", new long[] { 0, 4 }, 2);
        using TrainingDriver driver = TrainingDriver.Create(model, new TrainingOptions { Optimizer = optimizer });
        driver.Step(batch);
        ArtifactsFolder.Save(driver, folder.FolderPath);
        using TrainingDriver again = ArtifactsFolder.Load(folder.FolderPath);
        driver.Step(batch);
        again.Step(batch);
        CollectionAssert.AreEqual(driver.ToBuffer().Bytes.ToArray(), again.ToBuffer().Bytes.ToArray());
    }
}
