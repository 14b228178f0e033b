using System.Globalization;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.OnnxTraining;

/// <summary>The names of one file, in which the values of several graphs stand side by side: who comes first keeps its name.</summary>
internal sealed class FileNames
{
    private readonly HashSet<string> _values = new(StringComparer.Ordinal), _nodes = new(StringComparer.Ordinal);

    /// <summary>A name that no value has yet.</summary>
    public string Take(string wanted) => Take(_values, wanted);

    /// <summary>Marks a name that is given.</summary>
    public void Keep(string name) => _values.Add(name);

    /// <summary>Gives the values that nodes make, those of their bodies included, and the nodes themselves names that nobody has
    /// yet.</summary>
    /// <returns>What was renamed.</returns>
    public IReadOnlyList<NamePair> Add(IEnumerable<Node> nodes, IEnumerable<Value> initializers)
    {
        var renamed = new List<NamePair>();
        foreach (Value value in initializers) Rename(value, renamed);
        Add(nodes, renamed);
        return renamed;
    }

    private void Add(IEnumerable<Node> nodes, List<NamePair> renamed)
    {
        foreach (Node node in nodes)
        {
            if (node.Name.Length > 0) node.Name = Take(_nodes, node.Name);
            foreach (Value output in node.Outputs.OfType<Value>()) Rename(output, renamed);
            foreach (OnnxGraph body in node.Subgraphs)
            {
                foreach (Value value in body.Inputs.Concat(body.Initializers)) Rename(value, renamed);
                Add(body.Nodes, renamed);
            }
        }
    }

    private void Rename(Value value, List<NamePair> renamed)
    {
        string own = value.Name;
        value.Name = Take(own);
        if (value.Name != own) renamed.Add(new NamePair(value.Name, own));
    }

    private static string Take(HashSet<string> taken, string wanted)
    {
        string name = wanted;
        for (int n = 2; !taken.Add(name); n++) name = string.Create(CultureInfo.InvariantCulture, $"{wanted}#{n}");
        return name;
    }
}
