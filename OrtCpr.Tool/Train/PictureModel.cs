using System.Collections.Immutable;
using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tool.Train;

// What a model tells about the pictures that it takes: its inputs, and the names of its classes.
internal sealed record PictureModel(IReadOnlyList<BatchInput> Inputs, ImmutableArray<string> ClassNames)
{
    public static PictureModel Of(string path)
    {
        using ModelFile file = ModelFile.Load(path);
        // Files of an early version list parameters among their inputs.
        var stored = file.Proto.Graph.Initializer.Select(i => i.Name).ToHashSet(StringComparer.Ordinal);
        BatchInput[] inputs = [.. file.Proto.Graph.Input.Where(i => !stored.Contains(i.Name) && i.Type?.TensorType is not null)
            .Select(i => new BatchInput
            {
                Name = i.Name,
                Type = (ElementType)i.Type.TensorType.ElemType,
                Dimensions = i.Type.TensorType.Shape?.Dim.Select(d => d.HasDimValue ? $"{d.DimValue}"
                    : d.HasDimParam && d.DimParam.Length > 0 ? d.DimParam : "?").ToList(),
            })];
        return new PictureModel(inputs, ModelHead.ClassNames(path));
    }

    // Of a run. Names that the data gave are in the model that it wrote at its end.
    public static PictureModel Of(string folder, TrainingPlan plan)
    {
        string trained = Path.Combine(folder, "model.onnx");
        return new PictureModel(plan.BatchInputs, File.Exists(trained) ? ModelHead.ClassNames(trained) : []);
    }
}
