using OrtCpr.Checkpoints;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Checkpoints;

[TestClass]
public sealed class SafetensorsMutationTests
{
    [TestMethod]
    public void MutatedFiles_AreReadOrRefused()
    {
        using MemoryStream file = new();
        SafetensorsFile.Write(file,
            new Dictionary<string, TensorData>
            {
                ["fc1.weight"] = TensorData.From<float>([1, 2, 3, 4, 5, 6], 2, 3),
                ["step"] = TensorData.Scalar(7L)
            },
            new Dictionary<string, string> { ["format"] = "1" });
        int refused = Mutations.Survive(file.ToArray(), 4000, seed: 3, bytes =>
        {
            using MemoryStream stream = new(bytes);
            SafetensorsFile.Read(stream);
        });
        Assert.IsInRange(1000, Mutations.Count(4000) - 10, refused);
    }

    [TestMethod]
    public void MutatedFilesByPath_AreReadOrRefused()
    {
        using TemporaryFolder folder = new();
        using MemoryStream file = new();
        SafetensorsFile.Write(file, new Dictionary<string, TensorData> { ["w"] = TensorData.From<float>([1, 2], 2) });
        Mutations.Survive(file.ToArray(), 300, seed: 4, bytes =>
        {
            File.WriteAllBytes(folder["c"], bytes);
            SafetensorsFile.Read(folder["c"]).Dispose();
        });
    }
}
