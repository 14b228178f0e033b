using System.Globalization;

namespace OrtCpr.Distributed.Launch;

/// <summary>What a launcher has told this process of its place, by variables of the environment.</summary>
/// <param name="Launcher">Its name.</param>
/// <param name="Rank">Number of the process.</param>
/// <param name="Size">Number of processes.</param>
/// <param name="LocalRank">Number of the process among those of this machine; null where it is not told.</param>
/// <param name="IsOpenMpi">Whether it is of Open MPI's family, MPICH's (false), or can't be known (null).</param>
/// <param name="LocalSize">Number of processes on this machine, as far as it is told.</param>
internal sealed record RankEnvironment(string Launcher, int Rank, int Size, int? LocalRank, bool? IsOpenMpi, int LocalSize = 1)
{
    private static readonly string[] OpenMpi = ["libmpi.so.40", "libmpi.so.80", "libmpi.40.dylib", "libmpi.so", "libmpi.dylib"];
    private static readonly string[] Mpich = ["libmpich.so.12", "libmpi.so.12", "libmpi.12.dylib", "libmpich.so", "libmpich.dylib"];

    /// <summary>A launcher's variables: rank, size, and both on the machine. The first whose rank and size are set counts.</summary>
    private static readonly (string Launcher, string Rank, string Size, string Local, string LocalSize, bool? IsOpenMpi)[] Launchers =
    [
        ("Open MPI's mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
            "OMPI_COMM_WORLD_LOCAL_SIZE", true),
        ("MPICH's mpirun", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", false),
        ("srun", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE", null),
    ];

    /// <summary>Of this process; a size of 1 where no launcher has started it.</summary>
    public static RankEnvironment Current => Of(Environment.GetEnvironmentVariable);

    /// <summary>Names under which the launcher's library is looked for, in order.</summary>
    public string[] MpiLibraries => IsOpenMpi switch
    {
        true => OpenMpi,
        false => Mpich,
        null => [.. OpenMpi, .. Mpich],
    };

    /// <summary>The same from other variables.</summary>
    public static RankEnvironment Of(Func<string, string?> variable)
    {
        int? Number(string name) => int.TryParse(variable(name), NumberStyles.None, CultureInfo.InvariantCulture, out int n) ? n : null;
        foreach ((string launcher, string rank, string size, string local, string localSize, bool? isOpenMpi) in Launchers)
        {
            if (Number(rank) is not int own || Number(size) is not int all) continue;
            // Under srun the library is that for which Slurm has set up its wire-up: PMIx is Open MPI's.
            bool? family = isOpenMpi ?? (variable("PMIX_RANK") is not null ? true : null);
            return new(launcher, own, all, Number(local), family, Math.Max(1, Number(localSize) ?? 1));
        }
        return new("no launcher", 0, 1, 0, null);
    }
}
