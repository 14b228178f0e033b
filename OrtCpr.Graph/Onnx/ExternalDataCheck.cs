using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

/// <summary>Checks at load that the external data of a model are there, long enough and safe to open.</summary>
internal static class ExternalDataCheck
{
    /// <summary>All problems. Missing files are no problem where the model says how to draw every weight that was in them.</summary>
    internal static IEnumerable<string> Problems(ModelFile model)
    {
        HashSet<string> targets = [.. WeightInitialization.Targets(model.Proto)];
        HashSet<TensorProto> drawn = new(model.Proto.Graph.Initializer.Where(tensor => targets.Contains(tensor.Name)),
            ReferenceEqualityComparer.Instance);
        Dictionary<string, List<string>> missing = [];
        foreach (TensorSite site in ModelTensors.All(model.Proto))
        {
            if (!ExternalDataReference.IsExternal(site.Tensor))
                continue;
            if (IsAbsent(model, site.Tensor, out string location))
            {
                if (!drawn.Contains(site.Tensor))
                    (missing.TryGetValue(location, out List<string>? sites) ? sites : missing[location] = []).Add(site.Where);
            }
            else if (TensorSerializer.Read(site.Tensor, model.Folder, out _) is string problem)
            {
                yield return $"{site.Where}: {problem}.";
            }
        }
        foreach ((string location, List<string> sites) in missing)
        {
            string names = string.Join(", ", sites.Take(3)) + (sites.Count > 3 ? $" and {sites.Count - 3} more" : "");
            string found = model.Folder is null ? "no folder for external data (pass it when the model comes from memory)"
                : $"no such file in '{model.Folder.FolderPath}'";
            yield return $"{names}: expected the external file '{location}'; found {found}, and no training_info.initialization that draws "
                + "them.";
        }
    }

    /// <summary>Whether the bytes of an external tensor are nowhere, though the reference itself is in order.</summary>
    internal static bool IsAbsent(ModelFile model, TensorProto tensor, out string location)
    {
        string? problem = ExternalDataReference.Parse(tensor, out ExternalDataReference reference);
        location = reference.Location;
        return problem is null && (model.Folder is null || !model.Folder.Exists(reference));
    }
}
