using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph;

/// <summary>A float64 copy of a model, in which gradients can be compared with differences without rounding in the way.</summary>
internal static class DoubleModel
{
    /// <summary>Reads a model file and gives the same model with every floating tensor, input, output and Cast in double.</summary>
    /// <param name="path">Model file. Weights that it only describes are drawn.</param>
    /// <param name="seed">Seed of those.</param>
    /// <returns>An ONNX file in memory. Whether all its operators have kernels in double only a session can tell.</returns>
    /// <exception cref="OrtCprException">The file cannot be read, or is larger than 2 GiB in double.</exception>
    public static byte[] Of(string path, long seed = 0) => Of(ModelFile.Load(path), seed);

    /// <summary>The same of a model in memory.</summary>
    public static byte[] Of(byte[] model) => Of(ModelFile.Load(model), 0);

    private static byte[] Of(ModelFile file, long seed)
    {
        OnnxModel model =
            GraphReader.Read(file, WeightInitialization.IsNeeded(file) ? WeightInitialization.Draw(file, seed)
                : new Dictionary<string, TensorData>());
        InlineFunctions.Run(model);
        model.Opsets.TryAdd("com.microsoft", 1);
        MasterWeights.Run(model, ElementType.Double);
        return GraphWriter.ToBytes(model);
    }
}
