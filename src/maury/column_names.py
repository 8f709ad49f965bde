"""What surveys call their columns: the one place to add a name.

Each channel lists the names of its value column; an entry (value, error) is for archives whose
error column does not follow from the value's name by `ERROR_PATTERNS`. Of several errors, such as
those of 2MASS with and without the calibration's, the first listed is taken. Sources: the data
models of the ESA Gaia archive, IRSA (2MASS, AllWISE), MAST (PS1, GALEX), SDSS CasJobs, the
SkyMapper DR2-DR4 data release, and the VizieR copies II/246, II/328, I/345, I/355, II/335, II/358.

Names that several surveys share are deliberately missing and listed in `AMBIGUOUS`; so are
magnitudes that nobody observed (the TESS magnitude of the TIC is computed from other bands).
"""

from __future__ import annotations

__all__ = [
    "AMBIGUOUS",
    "COLUMN_NAMES",
    "ERROR_PATTERNS",
    "GAIA_DR2",
    "OVER_ERROR",
    "PARALLAX_AIDS",
]

#: How an error column is called, given the value's name.
ERROR_PATTERNS: tuple[str, ...] = (
    "{}_err",
    "{}_error",
    "{}_sigma",
    "{}_uncertainty",
    "{}err",
    "e_{}",
    "err_{}",
    "sigma_{}",
)

#: Value column: column of value / error, for archives that give a ratio instead of an error. For
#: magnitudes it is the ratio of the flux.
OVER_ERROR: dict[str, str] = {
    "phot_g_mean_mag": "phot_g_mean_flux_over_error",
    "phot_bp_mean_mag": "phot_bp_mean_flux_over_error",
    "phot_rp_mean_mag": "phot_rp_mean_flux_over_error",
    "parallax": "parallax_over_error",
}

#: The same magnitude in Gaia's second data release, where passbands and zero points differ.
GAIA_DR2: dict[str, str] = {
    "GAIA/GAIA3.G": "GAIA/GAIA2r.G",
    "GAIA/GAIA3.Gbp": "GAIA/GAIA2r.Gbp",
    "GAIA/GAIA3.Grp": "GAIA/GAIA2r.Grp",
}

#: Columns that are no measurements but say what a parallax's zero point is: names and unit.
PARALLAX_AIDS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "zero_point": (("parallax_zero_point",), "mas"),
    "ra": (("ra", "RA_ICRS", "RAJ2000"), "deg"),
    "dec": (("dec", "DE_ICRS", "DEJ2000"), "deg"),
    "ecl_lat": (("ecl_lat", "ELAT"), "deg"),
    "bp_rp": (("bp_rp", "BP-RP"), "mag"),
    "nu_eff": (("nu_eff_used_in_astrometry", "nueff"), "1/um"),
    "pseudocolour": (("pseudocolour", "pscol"), "1/um"),
    "solution": (("astrometric_params_solved", "Solved"), None),
}

Name = str | tuple[str, str]

COLUMN_NAMES: dict[str, tuple[Name, ...]] = {
    "parallax": ("parallax", "Plx", "plx"),
    "GAIA/GAIA3.G": ("gaia_g", "phot_g_mean_mag", "Gmag"),
    "GAIA/GAIA3.Gbp": ("gaia_bp", "phot_bp_mean_mag", "BPmag"),
    "GAIA/GAIA3.Grp": ("gaia_rp", "phot_rp_mean_mag", "RPmag"),
    "2MASS/2MASS.J": ("tmass_j", ("j_m", "j_msigcom"), ("j_m", "j_cmsig"), "Jmag"),
    "2MASS/2MASS.H": ("tmass_h", ("h_m", "h_msigcom"), ("h_m", "h_cmsig"), "Hmag"),
    "2MASS/2MASS.Ks": (
        "tmass_k",
        "tmass_ks",
        ("k_m", "k_msigcom"),
        ("k_m", "k_cmsig"),
        ("ks_m", "ks_msigcom"),
        "Kmag",
        "Ksmag",
    ),
    **{
        f"WISE/WISE.W{n}": (f"wise_w{n}", (f"w{n}mpro", f"w{n}sigmpro"), f"W{n}mag")
        for n in range(1, 5)
    },
    **{
        f"PAN-STARRS/PS1.{b}": (
            f"ps1_{b}",
            (f"{b}MeanPSFMag", f"{b}MeanPSFMagErr"),
            (f"{b}_mean_psf_mag", f"{b}_mean_psf_mag_error"),
        )
        for b in "grizy"
    },
    **{f"SLOAN/SDSS.{b}": (f"sdss_{b}", (f"psfMag_{b}", f"psfMagErr_{b}")) for b in "ugriz"},
    **{f"SkyMapper/SkyMapper.{b}": (f"sm_{b}", f"{b}_psf", f"{b}PSF") for b in "uvgriz"},
    "GALEX/GALEX.FUV": ("galex_fuv", ("fuv_mag", "fuv_magerr"), "FUVmag"),
    "GALEX/GALEX.NUV": ("galex_nuv", ("nuv_mag", "nuv_magerr"), "NUVmag"),
    **{f"CTIO/DECam.{b}": (f"decaps_{b}", f"decam_{b}") for b in "ugriz"},
    "CTIO/DECam.Y": ("decaps_y", "decam_y"),
    **{f"LSST/LSST.{b}": (f"lsst_{b}",) for b in "ugrizy"},
    **{f"Spitzer/IRAC.I{n}": (f"irac_{n}", f"irac_i{n}") for n in range(1, 5)},
    "Euclid/VIS.vis": ("euclid_vis",),
    **{f"Euclid/NISP.{b}": (f"euclid_{b.lower()}",) for b in "YJH"},
    "Kepler/Kepler.K": ("kepler_kp",),
    "TESS/TESS.Red": ("tess_t",),
    "Hipparcos/Hipparcos.Hp_bes": ("hipparcos_hp", "Hpmag"),
}

#: Names that more than one survey uses, in their exact case ("Gmag" is Gaia's, "gmag" is not).
AMBIGUOUS: dict[str, tuple[str, ...]] = {
    "umag": ("SLOAN/SDSS.u", "SkyMapper/SkyMapper.u"),
    "vmag": ("SkyMapper/SkyMapper.v", "Johnson V"),
    **{
        f"{b}mag": (f"PAN-STARRS/PS1.{b}", f"SLOAN/SDSS.{b}", f"SkyMapper/SkyMapper.{b}")
        for b in "griz"
    },
    "ymag": ("PAN-STARRS/PS1.y", "LSST/LSST.y"),
}
